// The pieces of blocked attention on vectors: packing keys and values into blocks, and the one small matrix
// product.
//
// Every sum of products in the forward runs over its index in ascending order, one multiply_add a step,
// whatever rows and columns a tile holds. That is what makes a row's bits independent of the rows it is
// computed with.

constexpr std::int64_t kBlock = 64;  // keys a block, counted from position 0
constexpr std::int64_t kVecsPerBlock = kBlock / kLanes;
constexpr std::int64_t kRows = 4;  // rows of the register tile
constexpr std::int64_t kCols = kLanes == 16 ? 4 : 2;

PREFER_INLINE std::int64_t lesser(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
PREFER_INLINE std::int64_t greater(std::int64_t a, std::int64_t b) { return a > b ? a : b; }
/// `count` floats, rounded up to the widest vector of any instruction set.
inline std::int64_t padded_to_vectors(std::int64_t count) { return (count + 15) / 16 * 16; }

/// A [., .] matrix of floats in the scratch: element (i, k) at data[i * row + k * column].
struct Matrix {
  const float* data;
  std::int64_t row;
  std::int64_t column;
};

/// C[R rows][C vectors] += sum over k in [begin, end) of A[i, k] * B[k, :], in the order of k.
template <std::int64_t R, std::int64_t C>
PREFER_INLINE void product_tile(Matrix a, const float* b, std::int64_t ldb, float* c, std::int64_t ldc,
                                std::int64_t begin, std::int64_t end) {
  Vec sum[R][C];
#pragma GCC unroll 4
  for (std::int64_t i = 0; i < R; ++i) {
#pragma GCC unroll 4
    for (std::int64_t j = 0; j < C; ++j) sum[i][j] = load(c + i * ldc + j * kLanes);
  }
  for (std::int64_t k = begin; k < end; ++k) {
    Vec right[C];
#pragma GCC unroll 4
    for (std::int64_t j = 0; j < C; ++j) right[j] = load(b + k * ldb + j * kLanes);
#pragma GCC unroll 4
    for (std::int64_t i = 0; i < R; ++i) {
      const Vec left = fill(a.data[i * a.row + k * a.column]);
#pragma GCC unroll 4
      for (std::int64_t j = 0; j < C; ++j) sum[i][j] = multiply_add(left, right[j], sum[i][j]);
    }
  }
#pragma GCC unroll 4
  for (std::int64_t i = 0; i < R; ++i) {
#pragma GCC unroll 4
    for (std::int64_t j = 0; j < C; ++j) store(c + i * ldc + j * kLanes, sum[i][j]);
  }
}

template <std::int64_t R>
void product_rows(std::int64_t vecs, Matrix a, const float* b, std::int64_t ldb, float* c, std::int64_t ldc,
                  std::int64_t begin, std::int64_t end) {
  std::int64_t j = 0;
  for (; j + kCols <= vecs; j += kCols) {
    product_tile<R, kCols>(a, b + j * kLanes, ldb, c + j * kLanes, ldc, begin, end);
  }
  if (kCols > 2 && j + 2 <= vecs) {
    product_tile<R, 2>(a, b + j * kLanes, ldb, c + j * kLanes, ldc, begin, end);
    j += 2;
  }
  if (j < vecs) product_tile<R, 1>(a, b + j * kLanes, ldb, c + j * kLanes, ldc, begin, end);
}

/// C[rows][vecs * kLanes] += A[rows, begin..end) B[begin..end, vecs * kLanes).
inline void product(std::int64_t rows, std::int64_t vecs, Matrix a, const float* b, std::int64_t ldb,
                    float* c, std::int64_t ldc, std::int64_t begin, std::int64_t end) {
  for (; rows >= kRows; rows -= kRows, a.data += kRows * a.row, c += kRows * ldc) {
    product_rows<kRows>(vecs, a, b, ldb, c, ldc, begin, end);
  }
  if (rows == 3) product_rows<3>(vecs, a, b, ldb, c, ldc, begin, end);
  if (rows == 2) product_rows<2>(vecs, a, b, ldb, c, ldc, begin, end);
  if (rows == 1) product_rows<1>(vecs, a, b, ldb, c, ldc, begin, end);
}

inline void clear(float* p, std::int64_t count) {
  for (std::int64_t i = 0; i < count; i += kLanes) store(p + i, Vec{});
}

/// to[0 .. padded) = factor * from[0 .. dim), then zeros.
template <class T>
PREFER_INLINE void widen_row(const T* from, std::int64_t dim, std::int64_t padded, float factor, float* to) {
  std::int64_t i = 0;
  for (; i + kLanes <= dim; i += kLanes) store(to + i, load(from + i) * factor);
  if (i < dim) {
    store(to + i, load_part(from + i, dim - i) * factor);
    i += kLanes;
  }
  for (; i < padded; i += kLanes) store(to + i, Vec{});
}

/// to[0 .. dim) = factor * from.
template <class T>
PREFER_INLINE void narrow_row(const float* from, std::int64_t dim, float factor, T* to) {
  std::int64_t i = 0;
  for (; i + kLanes <= dim; i += kLanes) store(to + i, load(from + i) * factor);
  if (i < dim) store_part(to + i, load(from + i) * factor, dim - i);
}

/// The rows of k and v that hold the keys of one block, found by walking the spans in ascending order of
/// blocks.
struct BlockRows {
  const Span* span;
  std::int64_t span_start = 0;  // position of the span's first key
  std::int64_t rows[kBlock];
  std::int64_t count = 0;

  explicit BlockRows(const Span* first) : span(first) {}

  /// Finds positions [first, end), end - first <= kBlock, first not before the last call's.
  void find(std::int64_t first, std::int64_t end) {
    count = end - first;
    for (std::int64_t i = 0; i < count; ++i) {
      while (first + i >= span_start + span->count) {
        span_start += span->count;
        ++span;
      }
      rows[i] = span->row + (first + i - span_start);
    }
  }
};

/// to[j][0 .. padded) = row j of the block, for one head.
template <class T>
void pack_rows(Rows<const T> from, std::int64_t column, const BlockRows& block, std::int64_t dim,
               std::int64_t padded, float* to) {
  for (std::int64_t j = 0; j < block.count; ++j) {
    widen_row(from.row(block.rows[j]) + column, dim, padded, 1.0f, to + j * padded);
  }
}

/// to[i][j] = element i of row j of the block, for one head: [dim][kBlock]. Lanes past the block's count are
/// zero up to a full vector.
template <class T>
void pack_columns(Rows<const T> from, std::int64_t column, const BlockRows& block, std::int64_t dim,
                  float* to) {
  for (std::int64_t j = 0; j < block.count; j += kLanes) {
    for (std::int64_t i = 0; i < dim; i += kLanes) {
      const std::int64_t width = lesser(kLanes, dim - i);
      Vec lines[kLanes];
      if (j + kLanes <= block.count && width == kLanes) {
#pragma GCC unroll 16
        for (std::int64_t l = 0; l < kLanes; ++l) lines[l] = load(from.row(block.rows[j + l]) + column + i);
      } else {
        for (std::int64_t l = 0; l < kLanes; ++l) {
          lines[l] = j + l < block.count ? load_part(from.row(block.rows[j + l]) + column + i, width) : Vec{};
        }
      }
      transpose(lines);
      for (std::int64_t l = 0; l < width; ++l) store(to + (i + l) * kBlock + j, lines[l]);
    }
  }
}

/// Which keys of a block a row may see: [low, high) of 0 .. kBlock.
struct Visible {
  std::int64_t low;
  std::int64_t high;
  bool any() const { return low < high; }
};
PREFER_INLINE Visible visible(std::int64_t position, std::int64_t window, std::int64_t block_start) {
  const std::int64_t low = window > 0 ? position - window + 1 - block_start : 0;
  return {greater(low, 0), lesser(position - block_start + 1, kBlock)};
}
PREFER_INLINE IntVec visible_lanes(Visible range, std::int64_t first_lane) {
  const IntVec lane = lane_index() + static_cast<std::int32_t>(first_lane);
  return (lane >= static_cast<std::int32_t>(range.low)) & (lane < static_cast<std::int32_t>(range.high));
}
