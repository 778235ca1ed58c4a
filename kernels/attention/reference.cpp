// The reference twin of attention, written to be read; and the checks that all twins share.
#include "kernels/attention/attention.hpp"

#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

namespace prefer::kernels::attention {

double scale_of(const Shape& shape) {
  return shape.scale != 0 ? shape.scale : 1.0 / std::sqrt(static_cast<double>(shape.dim));
}

namespace {

[[noreturn]] void refuse(const std::string& what) { throw std::invalid_argument("attention: " + what); }

void check_run(const Shape& shape, std::int64_t index) {
  const Run& run = shape.runs[index];
  const std::string name = "run " + std::to_string(index);
  if (run.query_begin < 0 || run.query_count < 0 || run.query_begin > shape.query_rows - run.query_count) {
    refuse(name + " wants queries " + std::to_string(run.query_begin) + " + " +
           std::to_string(run.query_count) + " of " + std::to_string(shape.query_rows));
  }
  if (run.span_begin < 0 || run.span_end < run.span_begin || run.span_end > shape.span_count) {
    refuse(name + " wants spans " + std::to_string(run.span_begin) + " to " + std::to_string(run.span_end) +
           " of " + std::to_string(shape.span_count));
  }
  std::int64_t keys = 0;
  for (std::int64_t s = run.span_begin; s < run.span_end; ++s) {
    const Span& span = shape.spans[s];
    if (span.row < 0 || span.count < 0 || span.row > shape.key_rows - span.count) {
      refuse("span " + std::to_string(s) + " wants rows " + std::to_string(span.row) + " + " +
             std::to_string(span.count) + " of " + std::to_string(shape.key_rows));
    }
    keys += span.count;
  }
  if (run.first_position < 0 || keys != run.first_position + run.query_count) {
    refuse(name + " has " + std::to_string(keys) + " keys in its spans, not first_position " +
           std::to_string(run.first_position) + " + query_count " + std::to_string(run.query_count));
  }
}

/// The rows of k and v that a query of the run at `position` sees.
std::vector<std::int64_t> visible_rows(const Shape& shape, const Run& run, std::int64_t position) {
  std::vector<std::int64_t> rows;
  std::int64_t key = 0;
  for (std::int64_t s = run.span_begin; s < run.span_end; ++s) {
    for (std::int64_t i = 0; i < shape.spans[s].count; ++i, ++key) {
      const bool inside = shape.window == 0 || key > position - shape.window;
      if (key <= position && inside) rows.push_back(shape.spans[s].row + i);
    }
  }
  return rows;
}

template <class T>
double dot(const T* a, const T* b, std::int64_t dim) {
  double sum = 0;
  for (std::int64_t i = 0; i < dim; ++i)
    sum += static_cast<double>(widen(a[i])) * static_cast<double>(widen(b[i]));
  return sum;
}

/// Calls body(query, head, kv_head, rows seen) for every query of every run and every head.
template <class Body>
void for_each_row(const Shape& shape, Body body) {
  for (std::int64_t r = 0; r < shape.run_count; ++r) {
    for (std::int64_t i = 0; i < shape.runs[r].query_count; ++i) {
      const auto rows = visible_rows(shape, shape.runs[r], shape.runs[r].first_position + i);
      for (std::int64_t head = 0; head < shape.heads; ++head) {
        body(shape.runs[r].query_begin + i, head, head / (shape.heads / shape.kv_heads), rows);
      }
    }
  }
}

/// A [rows, width] matrix of zeros in double.
struct Sums {
  std::int64_t width;
  std::vector<double> data;
  Sums(std::int64_t rows, std::int64_t columns)
      : width(columns), data(static_cast<std::size_t>(rows * columns)) {}
  double* row(std::int64_t i) { return data.data() + i * width; }

  template <class T>
  void narrow_to(Rows<T> to) {
    const std::int64_t rows = width > 0 ? static_cast<std::int64_t>(data.size()) / width : 0;
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t j = 0; j < width; ++j) to.row(i)[j] = narrow<T>(row(i)[j]);
    }
  }
};

}  // namespace

void check(const Shape& shape) {
  if (shape.heads < 0 || shape.kv_heads < 1 || shape.dim < 1 || shape.heads % shape.kv_heads != 0) {
    refuse("wants heads a multiple of kv_heads and dim >= 1, not " + std::to_string(shape.heads) + ", " +
           std::to_string(shape.kv_heads) + " and " + std::to_string(shape.dim));
  }
  if (shape.window < 0) refuse("wants window >= 0, not " + std::to_string(shape.window));
  for (std::int64_t r = 0; r < shape.run_count; ++r) check_run(shape, r);
}

namespace reference {

template <class T>
void forward(const Forward<T>& args) {
  check(args);
  const double scale = scale_of(args);
  for_each_row(args, [&](std::int64_t query, std::int64_t head, std::int64_t kv_head, const auto& rows) {
    const T* q = args.q.row(query) + head * args.dim;
    std::vector<double> score;
    double largest = -INFINITY;
    for (const std::int64_t row : rows) {
      score.push_back(scale * dot(q, args.k.row(row) + kv_head * args.dim, args.dim));
      largest = std::fmax(largest, score.back());
    }
    double total = 0;
    for (const double s : score) total += std::exp(s - largest);
    const double lse = largest + std::log(total);
    std::vector<double> out(static_cast<std::size_t>(args.dim));
    for (std::size_t j = 0; j < rows.size(); ++j) {
      const T* v = args.v.row(rows[j]) + kv_head * args.dim;
      const double p = std::exp(score[j] - lse);
      for (std::int64_t i = 0; i < args.dim; ++i)
        out[static_cast<std::size_t>(i)] += p * static_cast<double>(widen(v[i]));
    }
    for (std::int64_t i = 0; i < args.dim; ++i) {
      args.out.row(query)[head * args.dim + i] = narrow<T>(out[static_cast<std::size_t>(i)]);
    }
    args.lse[query * args.heads + head] = static_cast<Wide<T>>(lse);
  });
}

template <class T>
void backward(const Backward<T>& args) {
  check(args);
  const double scale = scale_of(args);
  Sums dq(args.query_rows, args.heads * args.dim);
  Sums dk(args.key_rows, args.kv_heads * args.dim);
  Sums dv(args.key_rows, args.kv_heads * args.dim);
  for_each_row(args, [&](std::int64_t query, std::int64_t head, std::int64_t kv_head, const auto& rows) {
    const std::int64_t at = head * args.dim;
    const std::int64_t kv_at = kv_head * args.dim;
    const T* q = args.q.row(query) + at;
    const T* dout = args.dout.row(query) + at;
    const double d = dot(dout, args.out.row(query) + at, args.dim);
    const double lse = static_cast<double>(args.lse[query * args.heads + head]);
    for (const std::int64_t row : rows) {
      const T* k = args.k.row(row) + kv_at;
      const double p = std::exp(scale * dot(q, k, args.dim) - lse);
      const double ds = scale * p * (dot(dout, args.v.row(row) + kv_at, args.dim) - d);
      for (std::int64_t i = 0; i < args.dim; ++i) {
        dq.row(query)[at + i] += ds * static_cast<double>(widen(k[i]));
        dk.row(row)[kv_at + i] += ds * static_cast<double>(widen(q[i]));
        dv.row(row)[kv_at + i] += p * static_cast<double>(widen(dout[i]));
      }
    }
  });
  dq.narrow_to(args.dq);
  dk.narrow_to(args.dk);
  dv.narrow_to(args.dv);
}

template void forward(const Forward<float>&);
template void forward(const Forward<bf16>&);
template void forward(const Forward<double>&);
template void backward(const Backward<float>&);
template void backward(const Backward<bf16>&);
template void backward(const Backward<double>&);

}  // namespace reference
}  // namespace prefer::kernels::attention
