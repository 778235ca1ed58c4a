// Vectors of float as wide as the instruction set (PREFER_LANES), in GCC's vector types: + - * / and
// comparisons are the compiler's. Included by kernels/each_isa.inl once for each instruction set; the order
// of every operation is fixed.
//
// a * b + c is always written multiply_add(a, b, c): one rounding where there is FMA (avx2, avx512), two
// where there is none. Do not write it out: the compiler may fuse it in one place and not in another.

constexpr std::int64_t kLanes = PREFER_LANES;
typedef float Vec __attribute__((vector_size(4 * PREFER_LANES)));
typedef std::int32_t IntVec __attribute__((vector_size(4 * PREFER_LANES)));
typedef std::uint32_t WordVec __attribute__((vector_size(4 * PREFER_LANES)));
typedef std::uint16_t HalfVec __attribute__((vector_size(2 * PREFER_LANES)));
#define PREFER_INLINE inline __attribute__((always_inline))

PREFER_INLINE Vec fill(float x) { return Vec{} + x; }
PREFER_INLINE IntVec fill_int(std::int32_t x) { return IntVec{} + x; }
PREFER_INLINE IntVec lane_index() {
  IntVec index;
  for (std::int32_t i = 0; i < kLanes; ++i) index[i] = i;
  return index;
}

PREFER_INLINE Vec multiply_add(Vec a, Vec b, Vec c) {
#if PREFER_LANES == 16
  return _mm512_fmadd_ps(a, b, c);
#elif PREFER_LANES == 8
  return _mm256_fmadd_ps(a, b, c);
#else
  return a * b + c;
#endif
}

/// The larger lane; where one is NaN, b.
PREFER_INLINE Vec larger(Vec a, Vec b) { return a > b ? a : b; }
PREFER_INLINE Vec smaller(Vec a, Vec b) { return a < b ? a : b; }

/// Unaligned loads and stores of kLanes numbers of T.
PREFER_INLINE Vec load(const float* p) {
  Vec v;
  memcpy(&v, p, sizeof v);
  return v;
}
PREFER_INLINE Vec load(const bf16* p) {
#if PREFER_LANES == 16  // GCC 12 takes the conversion apart
  return (Vec)(IntVec)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)p)), 16);
#elif PREFER_LANES == 8
  return (Vec)(IntVec)_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i*)p)), 16);
#else
  HalfVec half;
  memcpy(&half, p, sizeof half);
  return (Vec)(__builtin_convertvector(half, IntVec) << 16);
#endif
}
PREFER_INLINE void store(float* p, Vec v) { memcpy(p, &v, sizeof v); }
/// v as T holds it, T named by a pointer: unchanged for float; for bf16 rounded to nearest even, a NaN kept
/// quiet.
PREFER_INLINE Vec round_as(const float*, Vec v) { return v; }
PREFER_INLINE Vec round_as(const bf16*, Vec v) {
  const WordVec bits = (WordVec)v;  // unsigned: those of a NaN may wrap
  const WordVec rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
  return (Vec)(((v == v) ? rounded : (bits | 0x400000u)) & 0xffff0000u);
}
PREFER_INLINE void store(bf16* p, Vec v) {
  const IntVec bits = (IntVec)round_as(p, v);
#if PREFER_LANES == 16
  _mm256_storeu_si256((__m256i*)p, _mm512_cvtepi32_epi16(_mm512_srli_epi32((__m512i)bits, 16)));
#elif PREFER_LANES == 8
  const __m256i high = _mm256_srli_epi32((__m256i)bits, 16);
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(high, high), 8);
  _mm_storeu_si128((__m128i*)p, _mm256_castsi256_si128(packed));
#else
  const HalfVec half = __builtin_convertvector((bits >> 16) & 0xffff, HalfVec);
  memcpy(p, &half, sizeof half);
#endif
}

/// The first `count` < kLanes lanes; the others load as 0 and are not stored.
template <class T>
PREFER_INLINE Vec load_part(const T* p, std::int64_t count) {
  T lanes[kLanes] = {};
  memcpy(lanes, p, static_cast<std::size_t>(count) * sizeof(T));
  return load(lanes);
}
template <class T>
PREFER_INLINE void store_part(T* p, Vec v, std::int64_t count) {
  T lanes[kLanes];
  store(lanes, v);
  memcpy(p, lanes, static_cast<std::size_t>(count) * sizeof(T));
}

/// Sum and maximum over the lanes, halves onto halves.
PREFER_INLINE float sum_of_lanes(Vec v) {
  float lanes[kLanes];
  store(lanes, v);
  for (std::int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (std::int64_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  }
  return lanes[0];
}
PREFER_INLINE float max_of_lanes(Vec v) {
#if PREFER_LANES == 16
  return _mm512_reduce_max_ps(v);
#else
  float lanes[kLanes];
  store(lanes, v);
  for (std::int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (std::int64_t i = 0; i < half; ++i)
      lanes[i] = lanes[i + half] > lanes[i] ? lanes[i + half] : lanes[i];
  }
  return lanes[0];
#endif
}

/// 2^n of the integers in n, -126 <= n <= 127.
PREFER_INLINE Vec power_of_two(IntVec n) { return (Vec)((n + 127) << 23); }

/// e^x over the whole range: relative error < 2e-7 where the result is normal, exact 0 and infinity beyond,
/// NaN for NaN. Cody and Waite's reduction to |r| <= ln(2) / 2, then e^r as 1 + r + r^2 p(r), p minimax of
/// degree 4 (error 4e-9).
PREFER_INLINE Vec exp(Vec x) {
  x = smaller(fill(89.0f), larger(fill(-104.0f), x));
  const Vec magic = fill(12582912.0f);  // 1.5 * 2^23: adding it rounds to the nearest integer
  const Vec shifted = multiply_add(x, fill(1.44269504088896341f), magic);
  const Vec n = shifted - magic;
  Vec r = multiply_add(n, fill(-0.693145751953125f), x);
  r = multiply_add(n, fill(-1.428606765330187e-06f), r);
  Vec p = fill(1.38637808e-3f);
  p = multiply_add(p, r, fill(8.36748248e-3f));
  p = multiply_add(p, r, fill(4.16672378e-2f));
  p = multiply_add(p, r, fill(1.6666534e-1f));
  p = multiply_add(p, r, fill(0.5f));
  p = multiply_add(p, r * r, r) + 1.0f;
#if PREFER_LANES == 16
  return _mm512_scalef_ps(p, n);
#else
  const IntVec whole = (IntVec)shifted - (IntVec)magic;
  const IntVec half = whole >> 1;  // in two steps, so that subnormal results and infinity come out
  return p * power_of_two(half) * power_of_two(whole - half);
#endif
}

/// Turns kLanes vectors around: lane i of row j becomes lane j of row i. log2(kLanes) perfect shuffles of the
/// rows.
PREFER_INLINE void transpose(Vec (&rows)[kLanes]) {
  IntVec low, high;
  for (std::int32_t i = 0; i < kLanes; ++i) {
    low[i] = i / 2 + (i % 2) * static_cast<std::int32_t>(kLanes);
    high[i] = low[i] + static_cast<std::int32_t>(kLanes) / 2;
  }
#pragma GCC unroll 4
  for (std::int64_t step = 1; step < kLanes; step *= 2) {
    Vec next[kLanes];
#pragma GCC unroll 8
    for (std::int64_t i = 0; i < kLanes / 2; ++i) {
      next[2 * i] = __builtin_shuffle(rows[i], rows[i + kLanes / 2], low);
      next[2 * i + 1] = __builtin_shuffle(rows[i], rows[i + kLanes / 2], high);
    }
#pragma GCC unroll 16
    for (std::int64_t i = 0; i < kLanes; ++i) rows[i] = next[i];
  }
}
