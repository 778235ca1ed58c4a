// A row's sums and a row's gradient with vectors; compiled once for each instruction set.

constexpr std::int64_t kBlock = 1024;  // 4 KiB: read from memory once, then from the first cache

/// Copies x to `block` as floats, padded with -inf to pairs of vectors; returns the largest, passing over
/// NaN.
template <class T>
PREFER_INLINE float load_block(const T* x, std::int64_t count, float* block) {
  Vec largest[4];
  for (Vec& lane : largest) lane = fill(-INFINITY);
  std::int64_t i = 0;
  for (; i + 4 * kLanes <= count; i += 4 * kLanes) {
#pragma GCC unroll 4
    for (std::int64_t k = 0; k < 4; ++k) {
      const Vec v = load(x + i + k * kLanes);
      store(block + i + k * kLanes, v);
      largest[k] = larger(v, largest[k]);
    }
  }
  for (; i < count; i += kLanes) {
    Vec v = i + kLanes <= count ? load(x + i) : load_part(x + i, count - i);
    const std::int32_t left = static_cast<std::int32_t>(count - i);
    v = lane_index() < fill_int(left) ? v : fill(-INFINITY);
    store(block + i, v);
    largest[0] = larger(v, largest[0]);
  }
  if (i % (2 * kLanes) != 0) store(block + i, fill(-INFINITY));
  return max_of_lanes(larger(larger(largest[0], largest[1]), larger(largest[2], largest[3])));
}

/// 2^x for x <= 1, within 2e-7 of it down to 2^-126; 0 for -inf, at most 2^-126 between, NaN for NaN. With n
/// the nearest integer and r = x - n: 2^n (1 + r q(r)), q near-minimax of degree 4 over |r| <= 1/2. Half the
/// work of exp(x).
PREFER_INLINE Vec small_exp2(Vec x) {
#if PREFER_LANES == 16
  const Vec n = _mm512_roundscale_ps(x, 0);
  const Vec r = _mm512_reduce_ps(x, 0);  // 0 for -inf
#else
  const IntVec vanishes = x < fill(-126.0f);
  x = larger(fill(-126.0f), x);
  const Vec magic = fill(12582912.0f);  // 1.5 * 2^23: adding it rounds to the nearest integer
  const Vec shifted = x + magic;
  const Vec r = x - (shifted - magic);
#endif
  Vec q = fill(1.326472731307149e-3f);
  q = multiply_add(q, r, fill(9.671512991189957e-3f));
  q = multiply_add(q, r, fill(5.550733581185341e-2f));
  q = multiply_add(q, r, fill(2.4022242426872253e-1f));
  q = multiply_add(q, r, fill(6.931470036506653e-1f));
  const Vec p = multiply_add(q, r, fill(1.0f));
#if PREFER_LANES == 16
  return _mm512_scalef_ps(p, n);
#else
  return vanishes ? fill(0) : p * power_of_two((IntVec)shifted - (IntVec)magic);
#endif
}

/// Adds sum 2^(scale x - max), and with kWeighted that times (scale x - max), of a block. Meanwhile asks for
/// `next`, what will be read after it, so that memory and arithmetic overlap.
template <bool kWeighted, class T>
PREFER_INLINE void add_block(const float* block, std::int64_t count, float scale, const T* next,
                             RowSums* sums) {
  const Vec max = fill(-sums->shift(scale));
  Vec sum[2] = {fill(0), fill(0)};
  Vec weighted[2] = {fill(0), fill(0)};
  for (std::int64_t i = 0; i < count; i += 2 * kLanes) {
    __builtin_prefetch(next + i);
    __builtin_prefetch(next + i + kLanes);
#pragma GCC unroll 2
    for (std::int64_t k = 0; k < 2; ++k) {
      const Vec off = multiply_add(load(block + i + k * kLanes), fill(scale), max);
      const Vec e = small_exp2(off);
      sum[k] += e;
      if (kWeighted) weighted[k] = multiply_add(e, larger(fill(-200.0f), off), weighted[k]);
    }
  }
  sums->sum += sum_of_lanes(sum[0] + sum[1]);
  if (kWeighted) sums->weighted += sum_of_lanes(weighted[0] + weighted[1]);
}

PREFER_INLINE std::int64_t first_equal(const float* block, float value) {
  std::int64_t at = 0;
  while (block[at] != value) ++at;
  return at;
}

/// `scale` takes x to log2 of its weight.
template <class T>
RowSums row_sums(const T* x, std::int64_t size, float scale, bool weighted) {
  alignas(64) float block[kBlock];
  RowSums sums;
  for (std::int64_t begin = 0; begin < size; begin += kBlock) {
    const std::int64_t count = size - begin < kBlock ? size - begin : kBlock;
    const float largest = load_block(x + begin, count, block);
    if (largest > sums.largest) {
      sums.argmax = begin + first_equal(block, largest);
      sums.raise(largest, scale);
    }
    const T* next = x + begin + count;
    if (weighted) {
      add_block<true>(block, count, scale, next, &sums);
    } else {
      add_block<false>(block, count, scale, next, &sums);
    }
  }
  return sums;
}

/// dx of a whole row as if no element were the label: p (slope log2 p + offset).
template <class T>
void row_gradient(const T* x, T* dx, std::int64_t size, const Line& line) {
  const Vec scale = fill(line.scale), lse = fill(-line.lse), slope = fill(line.slope),
            offset = fill(line.offset);
  const auto gradient = [&](Vec v) __attribute__((always_inline)) {
    const Vec off = multiply_add(v, scale, lse);
    return small_exp2(off) * multiply_add(larger(fill(-200.0f), off), slope, offset);
  };
  std::int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) store(dx + i, gradient(load(x + i)));
  if (i < size) store_part(dx + i, gradient(load_part(x + i, size - i)), size - i);
}
