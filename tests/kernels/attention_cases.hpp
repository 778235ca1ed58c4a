// Attention problems for tests and benchmarks: forests of segments whose q, k and v are views of one buffer.
#pragma once

#include "kernels/attention/attention.hpp"
#include "tests/support/kernels.hpp"
#include "tests/support/sanitized.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace prefer::kernels::attention {

/// A segment of a forest: its length, and the index of its parent, which comes before it (-1: a root).
struct Segment {
  std::int64_t length;
  std::int64_t parent;
};

struct Plan {
  std::vector<Run> runs;
  std::vector<Span> spans;
  std::int64_t tokens = 0;
};

inline Plan plan_of(const std::vector<Segment>& forest) {
  Plan plan;
  std::vector<std::int64_t> begin;
  for (std::size_t i = 0; i < forest.size(); ++i) {
    begin.push_back(plan.tokens);
    std::vector<Span> chain;
    for (std::int64_t at = static_cast<std::int64_t>(i); at >= 0;
         at = forest[static_cast<std::size_t>(at)].parent) {
      chain.insert(chain.begin(),
                   {begin[static_cast<std::size_t>(at)], forest[static_cast<std::size_t>(at)].length});
    }
    std::int64_t position = -forest[i].length;
    for (const Span& span : chain) position += span.count;
    const std::int64_t first_span = static_cast<std::int64_t>(plan.spans.size());
    plan.spans.insert(plan.spans.end(), chain.begin(), chain.end());
    plan.runs.push_back(
        {plan.tokens, forest[i].length, position, first_span, static_cast<std::int64_t>(plan.spans.size())});
    plan.tokens += forest[i].length;
  }
  return plan;
}

/// The same problem with every span cut at random places, empty spans among them.
inline Plan with_cut_spans(const Plan& plan, std::uint32_t seed) {
  std::mt19937 random(seed);
  Plan cut{{}, {}, plan.tokens};
  for (Run run : plan.runs) {
    const std::int64_t first = static_cast<std::int64_t>(cut.spans.size());
    for (std::int64_t s = run.span_begin; s < run.span_end; ++s) {
      Span rest = plan.spans[static_cast<std::size_t>(s)];
      while (rest.count > 0) {
        const std::int64_t take = std::min<std::int64_t>(rest.count, random() % 40);
        cut.spans.push_back({rest.row, take});
        rest = {rest.row + take, rest.count - take};
      }
    }
    run.span_begin = first;
    run.span_end = static_cast<std::int64_t>(cut.spans.size());
    cut.runs.push_back(run);
  }
  return cut;
}

/// Every query as a run of its own, in reversed order: what decoding one token at a time asks for.
inline Plan one_by_one(const Plan& plan) {
  Plan single{{}, {}, plan.tokens};
  for (const Run& run : plan.runs) {
    for (std::int64_t i = run.query_count - 1; i >= 0; --i) {
      const std::int64_t first = static_cast<std::int64_t>(single.spans.size());
      std::int64_t left = run.first_position + i + 1;
      for (std::int64_t s = run.span_begin; s < run.span_end && left > 0; ++s) {
        const Span span = plan.spans[static_cast<std::size_t>(s)];
        single.spans.push_back({span.row, std::min(span.count, left)});
        left -= span.count;
      }
      single.runs.push_back({run.query_begin + i, 1, run.first_position + i, first,
                             static_cast<std::int64_t>(single.spans.size())});
    }
  }
  return single;
}

struct Sizes {
  std::int64_t heads = 6;
  std::int64_t kv_heads = 2;
  std::int64_t dim = 16;
  std::int64_t window = 0;
};

/// q, k, v in rows [H + 2K, d] of one buffer, dout beside it, and room for every result.
template <class T>
struct Problem {
  Sizes sizes;
  std::int64_t rows;
  std::int64_t width;  // of a row of the fused buffer
  std::vector<T> fused, out, dout, gradient;
  std::vector<Wide<T>> lse;

  Problem(std::int64_t tokens, Sizes s, std::uint32_t seed)
      : sizes(s), rows(tokens), width((s.heads + 2 * s.kv_heads) * s.dim) {
    std::mt19937 random(seed);
    std::normal_distribution<double> normal;
    const auto fill = [&](std::vector<T>& values, std::int64_t count) {
      for (std::int64_t i = 0; i < count; ++i) values.push_back(narrow<T>(normal(random)));
    };
    fill(fused, rows * width);
    fill(dout, rows * s.heads * s.dim);
    out.resize(dout.size());
    gradient.resize(fused.size());
    lse.resize(static_cast<std::size_t>(rows * s.heads));
  }

  void set_shape(Shape& shape, const Plan& plan) const {
    shape.runs = plan.runs.data();
    shape.run_count = static_cast<std::int64_t>(plan.runs.size());
    shape.spans = plan.spans.data();
    shape.span_count = static_cast<std::int64_t>(plan.spans.size());
    shape.query_rows = shape.key_rows = rows;
    shape.heads = sizes.heads;
    shape.kv_heads = sizes.kv_heads;
    shape.dim = sizes.dim;
    shape.window = sizes.window;
  }

  Forward<T> forward(const Plan& plan) {
    Forward<T> args;
    set_shape(args, plan);
    args.q = {fused.data(), width};
    args.k = {fused.data() + sizes.heads * sizes.dim, width};
    args.v = {fused.data() + (sizes.heads + sizes.kv_heads) * sizes.dim, width};
    args.out = {out.data(), sizes.heads * sizes.dim};
    args.lse = lse.data();
    return args;
  }

  /// dq, dk and dv are views of `gradient`, as q, k and v are of `fused`.
  Backward<T> backward(const Plan& plan) {
    const Forward<T> f = forward(plan);
    Backward<T> args;
    static_cast<Shape&>(args) = f;
    args.q = f.q;
    args.k = f.k;
    args.v = f.v;
    args.out = {out.data(), f.out.stride};
    args.lse = lse.data();
    args.dout = {dout.data(), f.out.stride};
    args.dq = {gradient.data(), width};
    args.dk = {gradient.data() + sizes.heads * sizes.dim, width};
    args.dv = {gradient.data() + (sizes.heads + sizes.kv_heads) * sizes.dim, width};
    return args;
  }
};

/// Sums of n products of normals carry about sqrt(n) roundings; scores reach about 5 and move p by as much.
inline double tolerance(const Problem<float>& problem) {
  return 8 * std::ldexp(1.0, -24) * std::sqrt(static_cast<double>(problem.sizes.dim + problem.rows + 16));
}

/// The largest |got - want| beyond `relative` of want, measured against the largest value.
template <class A, class B>
double worst(const std::vector<A>& got, const std::vector<B>& want, double relative = 0) {
  double error = 0, largest = 1;
  for (std::size_t i = 0; i < want.size(); ++i) {
    const double a = static_cast<double>(widen(got[i])), b = static_cast<double>(widen(want[i]));
    error = std::max(error, std::isnan(a) ? INFINITY : std::abs(a - b) - relative * std::abs(b));
    largest = std::max(largest, std::abs(b));
  }
  return error / largest;
}

using testing::converted;

/// The same inputs in double, or in bf16.
template <class To, class From>
Problem<To> converted(const Problem<From>& from) {
  Problem<To> to(from.rows, from.sizes, 0);
  to.fused = converted<To>(from.fused);
  to.dout = converted<To>(from.dout);
  return to;
}

/// The shapes that every twin is tested on.
struct Case {
  std::string name;
  std::vector<Segment> forest;
  Sizes sizes;
};
inline std::vector<Case> cases() {
  std::vector<Case> all;
  for (const std::int64_t length : {0, 1, 31, 33, 64, 65, 127, 200}) {
    all.push_back({"length " + std::to_string(length), {{length, -1}}, {6, 2, 16, 0}});
  }
  const std::vector<Segment> forest = {{67, -1}, {31, 0}, {45, 0}, {13, 1}, {1, 1},
                                       {70, -1}, {0, 5},  {5, 6},  {64, 5}};
  for (const std::int64_t dim : {1, 8, 16, 64, 80}) {
    for (const std::int64_t heads : {2, 6}) {
      if (testing::kSanitized && heads * dim > 128) continue;  // most of the work of all the cases
      all.push_back({"forest, dim " + std::to_string(dim) + ", heads " + std::to_string(heads),
                     forest,
                     {heads, 2, dim, 0}});
    }
  }
  for (const std::int64_t window : {1, 17, 64, 100}) {
    all.push_back({"window " + std::to_string(window), forest, {6, 2, 16, window}});
  }
  all.push_back({"a group wider than the tile", {{9, -1}, {3, 0}}, {100, 1, 8, 0}});
  // The head of Llama 2 and 3, and tiles of 16 rows (tiles.hpp): a run that takes three, behind part of one.
  for (const std::int64_t dim : {96, 97, 128}) {
    all.push_back({"wide heads, dim " + std::to_string(dim), {{35, -1}, {18, 0}, {3, 1}}, {4, 2, dim, 0}});
  }
  // The longest by far: with sanitizers one group of heads, as the pieces are cut by its size and the length.
  const Sizes longest = testing::kSanitized ? Sizes{3, 1, 16, 0} : Sizes{9, 3, 64, 0};
  all.push_back({"several pieces", {{300, -1}, {150, 0}}, longest});
  all.push_back({"several pieces, window", {{300, -1}, {150, 0}}, longest});
  all.back().sizes.window = 70;
  return all;
}

}  // namespace prefer::kernels::attention
