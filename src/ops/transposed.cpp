// Blocks that fit into a few vector registers, down the rows: what is written is contiguous.
#include "src/ops/transposed.hpp"

#include <ATen/Parallel.h>

#include <emmintrin.h>

#include <algorithm>

namespace prefer::gemm {
namespace {

__m128i load(const void* from) { return _mm_loadu_si128(static_cast<const __m128i*>(from)); }
void store(void* to, __m128i x) { _mm_storeu_si128(static_cast<__m128i*>(to), x); }

// A block has 16 bytes a side: to[c * to_stride + r] = from[r * from_stride + c]. The instructions are those
// that every x86-64 has.
void transpose_block(const uint32_t* from, int64_t from_stride, uint32_t* to, int64_t to_stride) {
  const __m128i a = load(from), b = load(from + from_stride), c = load(from + 2 * from_stride),
                d = load(from + 3 * from_stride);
  const __m128i ab = _mm_unpacklo_epi32(a, b), cd = _mm_unpacklo_epi32(c, d), ab2 = _mm_unpackhi_epi32(a, b),
                cd2 = _mm_unpackhi_epi32(c, d);
  store(to, _mm_unpacklo_epi64(ab, cd));
  store(to + to_stride, _mm_unpackhi_epi64(ab, cd));
  store(to + 2 * to_stride, _mm_unpacklo_epi64(ab2, cd2));
  store(to + 3 * to_stride, _mm_unpackhi_epi64(ab2, cd2));
}

void transpose_block(const uint16_t* from, int64_t from_stride, uint16_t* to, int64_t to_stride) {
  __m128i rows[8], pairs[8], fours[8];
  for (int64_t r = 0; r < 8; ++r) rows[r] = load(from + r * from_stride);
  for (int64_t r = 0; r < 4; ++r) {
    pairs[2 * r] = _mm_unpacklo_epi16(rows[2 * r], rows[2 * r + 1]);      // columns 0 to 3 of two rows
    pairs[2 * r + 1] = _mm_unpackhi_epi16(rows[2 * r], rows[2 * r + 1]);  // columns 4 to 7
  }
  for (int64_t half = 0; half < 2; ++half) {
    for (int64_t r = 0; r < 2; ++r) {
      const __m128i a = pairs[4 * r + half], b = pairs[4 * r + 2 + half];
      fours[4 * half + r] = _mm_unpacklo_epi32(a, b);
      fours[4 * half + 2 + r] = _mm_unpackhi_epi32(a, b);
    }
  }
  for (int64_t c = 0; c < 4; ++c) {
    store(to + 2 * c * to_stride, _mm_unpacklo_epi64(fours[2 * c], fours[2 * c + 1]));
    store(to + (2 * c + 1) * to_stride, _mm_unpackhi_epi64(fours[2 * c], fours[2 * c + 1]));
  }
}

template <class T>
void transpose_all(const T* from, int64_t rows, int64_t columns, T* to, int64_t to_stride) {
  constexpr int64_t kSide = 16 / int64_t{sizeof(T)}, kBand = 4 * kSide;  // 64 bytes: a cache line
  constexpr int64_t kLeast = int64_t{1} << 15;                           // elements for a thread of its own
  const auto one_by_one = [&](int64_t r, int64_t last_row, int64_t c, int64_t last_column) {
    for (int64_t j = c; j < last_column; ++j)
      for (int64_t i = r; i < last_row; ++i) to[j * to_stride + i] = from[i * columns + j];
  };
  const auto band = [&](int64_t begin, int64_t end) {
    const int64_t whole_rows = rows / kBand * kBand, whole = begin + (end - begin) / kSide * kSide;
    for (int64_t r = 0; r < whole_rows; r += kBand)
      for (int64_t c = begin; c < whole; c += kSide)
        for (int64_t i = r; i < r + kBand; i += kSide)
          transpose_block(from + i * columns + c, columns, to + c * to_stride + i, to_stride);
    one_by_one(0, whole_rows, whole, end);
    one_by_one(whole_rows, rows, begin, end);
  };
  at::parallel_for(0, (columns + kBand - 1) / kBand, 1 + kLeast / (rows * kBand),
                   [&](int64_t first, int64_t last) {
                     for (int64_t i = first; i < last; ++i)
                       band(i * kBand, std::min((i + 1) * kBand, columns));
                   });
}

}  // namespace

void transpose(const uint32_t* from, int64_t rows, int64_t columns, uint32_t* to, int64_t to_stride) {
  transpose_all(from, rows, columns, to, to_stride);
}

int64_t rows_of(std::span<const Tensor> stacked) {
  int64_t rows = 0;
  for (const Tensor& part : stacked) rows += part.size(0);
  return rows;
}

Tensor transposed(std::span<const Tensor> stacked) {
  const Tensor& first = stacked.front();
  const int64_t rows = rows_of(stacked);
  Tensor result = at::empty({first.size(1), rows}, first.options().requires_grad(false));
  int64_t at_column = 0;
  for (const Tensor& part : stacked) {
    const Tensor x = part.detach().contiguous();
    const auto run = [&]<class T>(T* to) {
      transpose_all(static_cast<const T*>(x.const_data_ptr()), x.size(0), x.size(1), to + at_column, rows);
    };
    if (x.device().is_cpu() && x.element_size() == 4) {
      run(static_cast<uint32_t*>(result.mutable_data_ptr()));
    } else if (x.device().is_cpu() && x.element_size() == 2) {
      run(static_cast<uint16_t*>(result.mutable_data_ptr()));
    } else {
      result.narrow(1, at_column, x.size(0)).copy_(x.t());
    }
    at_column += part.size(0);
  }
  return result;
}

}  // namespace prefer::gemm
