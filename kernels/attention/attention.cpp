// The cpu twin of attention: cuts the runs into pieces, shares them out to the threads, and picks the
// instruction set.
#include "kernels/attention/attention.hpp"

#include "kernels/vector.hpp"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace prefer::kernels::attention {
namespace {

/// Queries [begin, end) of a run, which look at keys [key_begin, key_end) of it. The backward's share of one
/// key head lies at share + kv_head * 2 * keys() * padded.
struct Piece {
  std::int64_t run = 0;
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t key_begin = 0;  // a multiple of the block
  std::int64_t key_end = 0;
  std::int64_t share = 0;
  std::int64_t keys() const { return key_end - key_begin; }
};

/// Key heads [begin, end).
struct Heads {
  std::int64_t begin;
  std::int64_t end;
};

/// Rows row .. row + count - 1 of dk and dv get a piece's keys from `key` on.
struct SharePart {
  const Piece* piece;
  std::int64_t row;
  std::int64_t key;
  std::int64_t count;
};

}  // namespace

#define PREFER_KERNEL_BODY "kernels/attention/attention.inl"
#include "kernels/each_isa.inl"

namespace {

constexpr std::int64_t kBlock = portable::kBlock;
constexpr std::int64_t kBackwardRows = 384;  // rows a piece of the backward aims at
constexpr std::int64_t kMostPieces = 8;      // of a run in the backward: bounds the memory of the shares

struct Free {
  void operator()(float* p) const { ::operator delete[](p, std::align_val_t(64)); }
};
using Floats = std::unique_ptr<float[], Free>;

/// Uninitialised: the pages are first touched by the threads that fill them.
Floats floats(std::int64_t count) {
  return Floats(static_cast<float*>(
      ::operator new[](static_cast<std::size_t>(count) * sizeof(float), std::align_val_t(64))));
}

/// Cuts every run into pieces of `queries_of(run)` queries.
template <class QueriesOf>
std::vector<Piece> pieces(const Shape& shape, QueriesOf queries_of) {
  std::vector<Piece> result;
  for (std::int64_t r = 0; r < shape.run_count; ++r) {
    const Run& run = shape.runs[r];
    const std::int64_t step = queries_of(run);
    for (std::int64_t begin = 0; begin < run.query_count; begin += step) {
      Piece piece{r, begin, std::min(begin + step, run.query_count)};
      if (shape.window > 0) {
        piece.key_begin =
            std::max<std::int64_t>(0, run.first_position + begin - shape.window + 1) / kBlock * kBlock;
      }
      piece.key_end = run.first_position + piece.end;
      result.push_back(piece);
    }
  }
  return result;
}

/// The parts of all shares by the block of kBlock rows of dk and dv that they fall into, in the order of the
/// pieces.
std::vector<std::vector<SharePart>> share_parts(const Shape& shape, const std::vector<Piece>& all) {
  std::vector<std::vector<SharePart>> result(
      static_cast<std::size_t>((shape.key_rows + kBlock - 1) / kBlock));
  for (const Piece& piece : all) {
    const Run& run = shape.runs[piece.run];
    std::int64_t start = 0;
    for (std::int64_t s = run.span_begin; s < run.span_end; start += shape.spans[s++].count) {
      std::int64_t key = std::max(start, piece.key_begin);
      const std::int64_t end = std::min(start + shape.spans[s].count, piece.key_end);
      while (key < end) {
        const std::int64_t row = shape.spans[s].row + key - start;
        const std::int64_t count = std::min(end - key, kBlock - row % kBlock);
        result[static_cast<std::size_t>(row / kBlock)].push_back({&piece, row, key - piece.key_begin, count});
        key += count;
      }
    }
  }
  return result;
}

/// dq of the queries that stand in no run.
template <class T>
void clear_idle_queries(const Backward<T>& args) {
  std::vector<char> busy(static_cast<std::size_t>(args.query_rows));
  for (std::int64_t r = 0; r < args.run_count; ++r) {
    std::fill_n(busy.begin() + args.runs[r].query_begin, args.runs[r].query_count, 1);
  }
  for (std::int64_t i = 0; i < args.query_rows; ++i) {
    if (!busy[static_cast<std::size_t>(i)]) std::fill_n(args.dq.row(i), args.heads * args.dim, T{});
  }
}

/// Calls work(i, thread) for i = 0 .. count - 1, last first (later pieces have more keys), wherever a thread
/// is free.
template <class Work>
void share_out(std::int64_t count, int threads, Work work) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
  for (std::int64_t i = count - 1; i >= 0; --i) work(i, omp_get_thread_num());
}

}  // namespace

namespace cpu {

template <class T>
void forward(const Forward<T>& args) {
  check(args);
  const auto one = choose(args.isa, portable::forward<T>, avx2::forward<T>, avx512::forward<T>);
  const std::int64_t group = args.kv_heads > 0 ? args.heads / args.kv_heads : 1;
  const std::int64_t rows = std::max(portable::kTileRows, group);
  const std::vector<Piece> all = pieces(args, [&](const Run&) { return rows / group; });
  const std::int64_t width = portable::padded_to_vectors(args.dim);
  const std::int64_t scratch_size = 2 * rows * width + 16 * rows + portable::padded_to_vectors(rows) +
                                    portable::kRows * kBlock + 2 * kBlock * width;
  const int threads = omp_get_max_threads();
  const Floats scratch = floats(threads * scratch_size);
  // Where a run's queries are few (decoding), one task takes all key heads, so that a row of the cache is
  // read whole.
  const auto few = [&](const Piece& piece) { return (piece.end - piece.begin) * args.heads <= rows; };
  std::vector<std::pair<const Piece*, std::int64_t>> tasks;
  for (const Piece& piece : all) {
    for (std::int64_t kv = 0; kv < (few(piece) ? 1 : args.kv_heads); ++kv) tasks.emplace_back(&piece, kv);
  }
  share_out(static_cast<std::int64_t>(tasks.size()), threads, [&](std::int64_t i, int thread) {
    const auto [piece, kv] = tasks[static_cast<std::size_t>(i)];
    one(args, *piece, {kv, few(*piece) ? args.kv_heads : kv + 1}, scratch.get() + thread * scratch_size);
  });
}

template <class T>
void backward(const Backward<T>& args) {
  check(args);
  const auto one = choose(args.isa, portable::backward<T>, avx2::backward<T>, avx512::backward<T>);
  const auto add = choose(args.isa, portable::add_shares<T>, avx2::add_shares<T>, avx512::add_shares<T>);
  const std::int64_t group = args.kv_heads > 0 ? args.heads / args.kv_heads : 1;
  std::vector<Piece> all = pieces(args, [&](const Run& run) {
    return std::max(
        {std::int64_t{1}, kBackwardRows / group, (run.query_count + kMostPieces - 1) / kMostPieces});
  });
  const std::int64_t width = portable::padded_to_vectors(args.dim);
  std::int64_t share_size = 0, most_rows = 0;
  for (Piece& piece : all) {
    piece.share = share_size;
    share_size += args.kv_heads * 2 * piece.keys() * width;
    most_rows = std::max(most_rows, (piece.end - piece.begin) * group);
  }
  const std::int64_t scratch_size = 3 * most_rows * width + 2 * portable::padded_to_vectors(most_rows) +
                                    2 * portable::kGradientRows * kBlock + 3 * kBlock * width;
  const int threads = omp_get_max_threads();
  const Floats scratch = floats(threads * scratch_size);
  const Floats shares = floats(share_size);
  share_out(static_cast<std::int64_t>(all.size()) * args.kv_heads, threads, [&](std::int64_t i, int thread) {
    const Piece& piece = all[static_cast<std::size_t>(i / args.kv_heads)];
    const std::int64_t head = i % args.kv_heads;
    one(args, piece, head, scratch.get() + thread * scratch_size,
        shares.get() + piece.share + head * 2 * piece.keys() * width);
  });
  const std::vector<std::vector<SharePart>> parts = share_parts(args, all);
  share_out(
      static_cast<std::int64_t>(parts.size()) * args.kv_heads, threads, [&](std::int64_t i, int thread) {
        const std::vector<SharePart>& here = parts[static_cast<std::size_t>(i / args.kv_heads)];
        const std::int64_t first = i / args.kv_heads * kBlock;
        add(args, first, std::min(kBlock, args.key_rows - first), i % args.kv_heads, here.data(),
            static_cast<std::int64_t>(here.size()), shares.get(), scratch.get() + thread * scratch_size);
      });
  clear_idle_queries(args);
}

template void forward(const Forward<float>&);
template void forward(const Forward<bf16>&);
template void backward(const Backward<float>&);
template void backward(const Backward<bf16>&);

}  // namespace cpu
}  // namespace prefer::kernels::attention
