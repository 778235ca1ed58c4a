// The CUDA algorithm of attention, over a group of threads with shared memory, so that tests run this source
// on the CPU.
//
// A tile is up to `side` rows of one run for one key head; a row is (query, head of the group), queries
// outermost. All that outlives a barrier lies in shared memory. A Group has rank(), size() and sync(), the
// barrier of its threads. The order of every sum is fixed, and no two groups write to one place: equal calls
// give equal bits.
#pragma once

#include "kernels/attention/attention.hpp"

#include <math.h>

#include <cstddef>

namespace prefer::kernels::attention::tiles {

/// Rows row .. of a run, counted as query * group + head of the group.
struct Tile {
  std::int64_t run;
  std::int64_t row;
};

/// Rows row .. row + count - 1 of k and v are the keys of a run from `position` on.
struct Part {
  std::int64_t run;
  std::int64_t row;
  std::int64_t position;
  std::int64_t count;
};

/// Keys a block and rows a tile: what fits into 99 KiB of shared memory, backward included.
inline int side_for(std::int64_t dim) { return dim <= 96 ? 32 : 16; }

/// Where the rows of a tile stand.
struct Place {
  std::int64_t query_begin, first_position, first_row, first_head, group;
  int rows;
  PREFER_HOST_DEVICE std::int64_t query(int r) const { return query_begin + (first_row + r) / group; }
  PREFER_HOST_DEVICE std::int64_t head(int r) const { return first_head + (first_row + r) % group; }
  PREFER_HOST_DEVICE std::int64_t position(int r) const { return first_position + (first_row + r) / group; }
};
PREFER_HOST_DEVICE Place place_of(const Shape& shape, Tile tile, std::int64_t kv_head, int side) {
  const Run& run = shape.runs[tile.run];
  const std::int64_t group = shape.heads / shape.kv_heads;
  const std::int64_t left = run.query_count * group - tile.row;
  return {
      run.query_begin, run.first_position, tile.row, kv_head * group, group, left < side ? int(left) : side};
}

PREFER_HOST_DEVICE bool sees(const Shape& shape, std::int64_t query, std::int64_t key) {
  return key <= query && (shape.window == 0 || key > query - shape.window);
}

/// The first block that a query at `position` looks into.
PREFER_HOST_DEVICE std::int64_t first_block(const Shape& shape, std::int64_t position, int side) {
  const std::int64_t first = shape.window > 0 ? position - shape.window + 1 : 0;
  return first > 0 ? first / side * side : 0;
}

/// Floats a matrix row takes: dim, rounded up to a pair and made odd, so that a column touches every bank.
PREFER_HOST_DEVICE int pitch_for(std::int64_t dim) { return static_cast<int>(dim + 1 + dim % 2); }

/// Hands out the shared memory: rows of keys first, then matrices [side][pitch], squares [side][side + 1],
/// columns [side].
struct Shared {
  std::int64_t* key_rows;
  float* next;
  int side, pitch;
  PREFER_HOST_DEVICE Shared(std::int64_t* memory, int side_, std::int64_t dim)
      : key_rows(memory),
        next(reinterpret_cast<float*>(memory + side_)),
        side(side_),
        pitch(pitch_for(dim)) {}
  PREFER_HOST_DEVICE float* take(int count) {
    float* here = next;
    next += count;
    return here;
  }
  PREFER_HOST_DEVICE float* matrix() { return take(side * pitch); }
  PREFER_HOST_DEVICE float* square() { return take(side * (side + 1)); }
  PREFER_HOST_DEVICE float* column() { return take(side); }
};
inline std::size_t shared_bytes(std::int64_t dim, int matrices, int squares, int columns) {
  const int side = side_for(dim);
  const int row = matrices * pitch_for(dim) + squares * (side + 1) + columns;
  return static_cast<std::size_t>(side) *
         (static_cast<std::size_t>(row) * sizeof(float) + sizeof(std::int64_t));
}

template <class Group>
PREFER_HOST_DEVICE void set(float* to, int count, float value, const Group& g) {
  for (int i = g.rank(); i < count; i += g.size()) to[i] = value;
}

/// to[r][i] = factor * from at the tile's row r.
template <class T, class Group>
PREFER_HOST_DEVICE void load_queries(Rows<const T> from, const Place& place, std::int64_t dim, float factor,
                                     float* to, int pitch, const Group& g) {
  const int width = static_cast<int>(dim);
  for (int n = g.rank(); n < place.rows * width; n += g.size()) {
    const int r = n / width, i = n % width;
    to[r * pitch + i] = factor * widen(from.row(place.query(r))[place.head(r) * dim + i]);
  }
}

/// to[j][i] = row rows[j] of k or v, one head.
template <class T, class Group>
PREFER_HOST_DEVICE void load_keys(Rows<const T> from, const std::int64_t* rows, int count,
                                  std::int64_t kv_head, std::int64_t dim, float* to, int pitch,
                                  const Group& g) {
  const int width = static_cast<int>(dim);
  for (int n = g.rank(); n < count * width; n += g.size()) {
    const int j = n / width, i = n % width;
    to[j * pitch + i] = widen(from.row(rows[j])[kv_head * dim + i]);
  }
}

/// rows[j] = the row of k and v that holds the run's key at position start + j.
template <class Group>
PREFER_HOST_DEVICE void find_keys(const Shape& shape, std::int64_t run, std::int64_t start, int count,
                                  std::int64_t* rows, const Group& g) {
  for (int j = g.rank(); j < count; j += g.size()) {
    std::int64_t left = start + j;
    std::int64_t s = shape.runs[run].span_begin;
    while (left >= shape.spans[s].count) left -= shape.spans[s++].count;
    rows[j] = shape.spans[s].row + left;
  }
}

/// Element (i, k) at data[i * row + k * column].
struct Matrix {
  const float* data;
  int row, column;
};

/// C[rows, columns] = (Add ? C : 0) + A[rows, depth] B[depth, columns], a patch of 4 x 2 a thread. Rows and
/// columns that fill up the last patch are read, never written.
template <bool Add, class Group>
PREFER_HOST_DEVICE void product(Matrix a, Matrix b, float* c, int pitch, int rows, int columns, int depth,
                                const Group& g) {
  const int across = (columns + 1) / 2;
  const int patches = (rows + 3) / 4 * across;
  for (int n = g.rank(); n < patches; n += g.size()) {
    const int i = n / across * 4, j = n % across * 2;
    float sum[4][2] = {};
    for (int k = 0; k < depth; ++k) {
      const float* left = a.data + i * a.row + k * a.column;
      const float* right = b.data + k * b.row + j * b.column;
      const float right0 = right[0], right1 = right[b.column];
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        sum[r][0] += left[r * a.row] * right0;
        sum[r][1] += left[r * a.row] * right1;
      }
    }
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      for (int s = 0; s < 2; ++s) {
        if (i + r >= rows || j + s >= columns) continue;
        float* to = c + (i + r) * pitch + j + s;
        *to = Add ? *to + sum[r][s] : sum[r][s];
      }
    }
  }
}

/// What the online softmax keeps of a tile: maximum and sum of each row, and how far the last step faded its
/// sums.
struct Softmax {
  float* largest;
  float* total;
  float* fade;
};

/// score becomes p; the sums are brought to the new maximum. Ends before its last barrier.
template <class Group>
PREFER_HOST_DEVICE void softmax_step(const Shape& shape, const Place& place, std::int64_t start, int count,
                                     const Softmax& softmax, float* score, int pitch, const Group& g) {
  for (int r = g.rank(); r < place.rows; r += g.size()) {
    float now = softmax.largest[r];
    for (int j = 0; j < count; ++j) {
      if (sees(shape, place.position(r), start + j)) now = fmaxf(now, score[r * pitch + j]);
    }
    softmax.fade[r] = now == -INFINITY ? 0.0f : expf(softmax.largest[r] - now);
    softmax.largest[r] = now;
  }
  g.sync();
  for (int n = g.rank(); n < place.rows * count; n += g.size()) {
    const int r = n / count, j = n % count;
    const float base = softmax.largest[r] == -INFINITY ? 0.0f : softmax.largest[r];
    float* s = score + r * pitch + j;
    *s = sees(shape, place.position(r), start + j) ? expf(*s - base) : 0.0f;
  }
  g.sync();
  for (int r = g.rank(); r < place.rows; r += g.size()) {
    float total = softmax.total[r] * softmax.fade[r];
    for (int j = 0; j < count; ++j) total += score[r * pitch + j];
    softmax.total[r] = total;
  }
}

constexpr int kForwardMatrices = 4, kForwardSquares = 1, kForwardColumns = 3;

/// out and lse of one tile. args.runs and args.spans lie where the group can read them, here and below.
template <class T, class Group>
PREFER_HOST_DEVICE void forward_tile(const Forward<T>& args, float scale, Tile tile, std::int64_t kv_head,
                                     Shared shared, const Group& g) {
  const int side = shared.side, pitch = shared.pitch, width = static_cast<int>(args.dim);
  const Place place = place_of(args, tile, kv_head, side);
  float *q = shared.matrix(), *k = shared.matrix(), *v = shared.matrix(), *sum = shared.matrix();
  float* score = shared.square();
  const Softmax softmax{shared.column(), shared.column(), shared.column()};
  load_queries(args.q, place, args.dim, scale, q, pitch, g);
  set(sum, side * pitch, 0.0f, g);
  set(softmax.largest, side, -INFINITY, g);
  set(softmax.total, side, 0.0f, g);
  const std::int64_t end = place.position(place.rows - 1) + 1;
  for (std::int64_t start = first_block(args, place.position(0), side); start < end; start += side) {
    const int count = static_cast<int>(end - start < side ? end - start : side);
    find_keys(args, tile.run, start, count, shared.key_rows, g);
    g.sync();
    load_keys(args.k, shared.key_rows, count, kv_head, args.dim, k, pitch, g);
    load_keys(args.v, shared.key_rows, count, kv_head, args.dim, v, pitch, g);
    g.sync();
    product<false>({q, pitch, 1}, {k, 1, pitch}, score, side + 1, place.rows, count, width, g);
    g.sync();
    softmax_step(args, place, start, count, softmax, score, side + 1, g);
    for (int n = g.rank(); n < place.rows * width; n += g.size())
      sum[n / width * pitch + n % width] *= softmax.fade[n / width];
    g.sync();
    product<true>({score, side + 1, 1}, {v, pitch, 1}, sum, pitch, place.rows, width, count, g);
    g.sync();
  }
  for (int n = g.rank(); n < place.rows * width; n += g.size()) {
    const int r = n / width, i = n % width;
    args.out.row(place.query(r))[place.head(r) * args.dim + i] =
        narrow<T>(sum[r * pitch + i] / softmax.total[r]);
    if (i == 0)
      args.lse[place.query(r) * args.heads + place.head(r)] = softmax.largest[r] + logf(softmax.total[r]);
  }
}

/// dout . out of one (query, head).
template <class T>
PREFER_HOST_DEVICE float dot_of(const Backward<T>& args, std::int64_t query, std::int64_t head) {
  const T* dout = args.dout.row(query) + head * args.dim;
  const T* out = args.out.row(query) + head * args.dim;
  float sum = 0;
  for (std::int64_t i = 0; i < args.dim; ++i) sum += widen(dout[i]) * widen(out[i]);
  return sum;
}

/// score (q k) becomes p, slope (dout v) becomes dS, 0 where a row may not look. dots is [Tq, H].
template <class T, class Group>
PREFER_HOST_DEVICE void gradient_step(const Backward<T>& args, const float* dots, const Place& place,
                                      std::int64_t start, int count, float* score, float* slope, int pitch,
                                      const Group& g) {
  for (int n = g.rank(); n < place.rows * count; n += g.size()) {
    const int r = n / count, j = n % count;
    const bool seen = sees(args, place.position(r), start + j);
    const std::int64_t at = place.query(r) * args.heads + place.head(r);
    const float p = seen ? expf(score[r * pitch + j] - args.lse[at]) : 0.0f;
    score[r * pitch + j] = p;
    slope[r * pitch + j] = seen ? p * (slope[r * pitch + j] - dots[at]) : 0.0f;
  }
}

constexpr int kQueryMatrices = 5, kQuerySquares = 2, kQueryColumns = 0;

/// dq of one tile.
template <class T, class Group>
PREFER_HOST_DEVICE void query_gradient(const Backward<T>& args, float scale, const float* dots, Tile tile,
                                       std::int64_t kv_head, Shared shared, const Group& g) {
  const int side = shared.side, pitch = shared.pitch, width = static_cast<int>(args.dim);
  const Place place = place_of(args, tile, kv_head, side);
  float *q = shared.matrix(), *dout = shared.matrix(), *k = shared.matrix(), *v = shared.matrix();
  float *dq = shared.matrix(), *score = shared.square(), *slope = shared.square();
  load_queries(args.q, place, args.dim, scale, q, pitch, g);
  load_queries(args.dout, place, args.dim, 1.0f, dout, pitch, g);
  set(dq, side * pitch, 0.0f, g);
  const std::int64_t end = place.position(place.rows - 1) + 1;
  for (std::int64_t start = first_block(args, place.position(0), side); start < end; start += side) {
    const int count = static_cast<int>(end - start < side ? end - start : side);
    find_keys(args, tile.run, start, count, shared.key_rows, g);
    g.sync();
    load_keys(args.k, shared.key_rows, count, kv_head, args.dim, k, pitch, g);
    load_keys(args.v, shared.key_rows, count, kv_head, args.dim, v, pitch, g);
    g.sync();
    product<false>({q, pitch, 1}, {k, 1, pitch}, score, side + 1, place.rows, count, width, g);
    product<false>({dout, pitch, 1}, {v, 1, pitch}, slope, side + 1, place.rows, count, width, g);
    g.sync();
    gradient_step(args, dots, place, start, count, score, slope, side + 1, g);
    g.sync();
    product<true>({slope, side + 1, 1}, {k, pitch, 1}, dq, pitch, place.rows, width, count, g);
    g.sync();
  }
  for (int n = g.rank(); n < place.rows * width; n += g.size()) {
    const int r = n / width, i = n % width;
    args.dq.row(place.query(r))[place.head(r) * args.dim + i] = narrow<T>(scale * dq[r * pitch + i]);
  }
}

constexpr int kKeyMatrices = 6, kKeySquares = 2, kKeyColumns = 0;

/// What the queries of one run that see `part` add: rows are the part's first rows of k, v, dk and dv.
template <class T, class Group>
PREFER_HOST_DEVICE void add_part(const Backward<T>& args, float scale, const float* dots, const Part& part,
                                 std::int64_t kv_head, float* const (&rows)[4], Shared shared,
                                 const Group& g) {
  const int side = shared.side, pitch = shared.pitch, width = static_cast<int>(args.dim);
  const int count = static_cast<int>(part.count);
  float *q = shared.matrix(), *dout = shared.matrix(), *score = shared.square(), *slope = shared.square();
  const Run& run = args.runs[part.run];
  const std::int64_t group = args.heads / args.kv_heads;
  const std::int64_t last = part.position + count - 1 + args.window;  // beyond it no query sees the part
  std::int64_t row = part.position > run.first_position ? (part.position - run.first_position) * group : 0;
  for (; row < run.query_count * group; row += side) {
    const Place place = place_of(args, {part.run, row}, kv_head, side);
    if (args.window > 0 && place.position(0) >= last) break;
    g.sync();
    load_queries(args.q, place, args.dim, scale, q, pitch, g);
    load_queries(args.dout, place, args.dim, 1.0f, dout, pitch, g);
    g.sync();
    product<false>({q, pitch, 1}, {rows[0], 1, pitch}, score, side + 1, place.rows, count, width, g);
    product<false>({dout, pitch, 1}, {rows[1], 1, pitch}, slope, side + 1, place.rows, count, width, g);
    g.sync();
    gradient_step(args, dots, place, part.position, count, score, slope, side + 1, g);
    g.sync();
    product<true>({slope, 1, side + 1}, {q, pitch, 1}, rows[2], pitch, count, width, place.rows, g);
    product<true>({score, 1, side + 1}, {dout, pitch, 1}, rows[3], pitch, count, width, place.rows, g);
  }
}

/// dk and dv of rows [first, first + side) of k and v, for one key head: over the parts that fall there, in
/// order.
template <class T, class Group>
PREFER_HOST_DEVICE void key_gradient(const Backward<T>& args, float scale, const float* dots,
                                     std::int64_t first, const Part* parts, std::int64_t part_count,
                                     std::int64_t kv_head, Shared shared, const Group& g) {
  const int side = shared.side, pitch = shared.pitch, width = static_cast<int>(args.dim);
  const int count = static_cast<int>(args.key_rows - first < side ? args.key_rows - first : side);
  float *k = shared.matrix(), *v = shared.matrix(), *dk = shared.matrix(), *dv = shared.matrix();
  for (int j = g.rank(); j < count; j += g.size()) shared.key_rows[j] = first + j;
  set(dk, side * pitch, 0.0f, g);
  set(dv, side * pitch, 0.0f, g);
  g.sync();
  load_keys(args.k, shared.key_rows, count, kv_head, args.dim, k, pitch, g);
  load_keys(args.v, shared.key_rows, count, kv_head, args.dim, v, pitch, g);
  for (std::int64_t n = 0; n < part_count; ++n) {
    const int at = static_cast<int>(parts[n].row - first) * pitch;
    float* const rows[4] = {k + at, v + at, dk + at, dv + at};
    add_part(args, scale, dots, parts[n], kv_head, rows, shared, g);
  }
  g.sync();
  for (int n = g.rank(); n < count * width; n += g.size()) {
    const int j = n / width, i = n % width;
    args.dk.row(first + j)[kv_head * args.dim + i] = narrow<T>(dk[j * pitch + i]);
    args.dv.row(first + j)[kv_head * args.dim + i] = narrow<T>(dv[j * pitch + i]);
  }
}

}  // namespace prefer::kernels::attention::tiles
