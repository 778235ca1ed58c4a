// A row's sums and a row's gradient with vectors; compiled once for each instruction set.

/// 2^x for x < 127, within 2e-7 of it down to 2^-126; 0 for -inf, at most 2^-126 between, NaN for NaN. With n
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

constexpr std::int64_t kBlock = 1024;  // sums of so many are taken to double
constexpr float kRoom = 4;             // bits by which a weight may pass 1

/// Of one block: its largest x, passing over NaN; sum 2^(scale x - shift), and with kWeighted that times
/// (scale x - shift). Meanwhile asks for what will be read a block later, so that memory and arithmetic
/// overlap; and for what lies two blocks further, into the second cache alone: the first has fewer places for
/// what is under way than memory can serve.
template <bool kWeighted, class T>
PREFER_INLINE RowSums block_sums(const T* x, std::int64_t count, float scale, float shift) {
  Vec largest[2] = {fill(-INFINITY), fill(-INFINITY)};
  Vec sum[2] = {fill(0), fill(0)};
  Vec weighted[2] = {fill(0), fill(0)};
  const auto add = [&](Vec v, std::int64_t k) __attribute__((always_inline)) {
    largest[k] = larger(v, largest[k]);
    const Vec off = multiply_add(v, fill(scale), fill(-shift));
    const Vec e = small_exp2(off);
    sum[k] += e;
    if (kWeighted) weighted[k] = multiply_add(e, larger(fill(-200.0f), off), weighted[k]);
  };
  std::int64_t i = 0;
  for (; i + 2 * kLanes <= count; i += 2 * kLanes) {
#pragma GCC unroll 2
    for (std::int64_t k = 0; k < 2; ++k) {
      const T* at = x + i + k * kLanes;
      __builtin_prefetch(at + kBlock);
      __builtin_prefetch(at + 3 * kBlock, 0, 2);
      add(load(at), k);
    }
  }
  for (; i < count; i += kLanes) {
    const Vec v = i + kLanes <= count ? load(x + i) : load_part(x + i, count - i);
    add(lane_index() < fill_int(static_cast<std::int32_t>(count - i)) ? v : fill(-INFINITY), 0);
  }
  return {.largest = max_of_lanes(larger(largest[0], largest[1])),
          .sum = sum_of_lanes(sum[0] + sum[1]),
          .weighted = sum_of_lanes(weighted[0] + weighted[1])};
}

template <class T>
std::int64_t first_equal(const T* x, float value) {
  std::int64_t at = 0;
  while (widen(x[at]) != value) ++at;
  return at;
}

/// `scale` takes x to log2 of its weight. A block is read once, its weights taken relative to the largest
/// before it; it is read again, from the first cache, where one passes that by more than kRoom.
template <bool kWeighted, class T>
PREFER_INLINE RowSums sums_of_row(const T* x, std::int64_t size, float scale) {
  RowSums sums;
  std::int64_t begin = 0, count = kBlock / 8;  // what stands first is read twice
  for (; begin < size; begin += count, count = kBlock) {
    if (count > size - begin) count = size - begin;
    RowSums block = block_sums<kWeighted>(x + begin, count, scale, sums.shift(scale));
    const bool passes = block.largest > sums.largest;
    if (passes) sums.argmax = begin + first_equal(x + begin, block.largest);
    const bool far = sums.largest == -INFINITY || scale * block.largest > sums.shift(scale) + kRoom;
    if (passes && far) {
      sums.raise(block.largest, scale);
      block = block_sums<kWeighted>(x + begin, count, scale, sums.shift(scale));
    }
    sums.sum += block.sum;
    sums.weighted += block.weighted;
    if (passes) sums.raise(block.largest, scale);
  }
  return sums;
}

template <class T>
RowSums row_sums(const T* x, std::int64_t size, float scale, bool weighted) {
  return weighted ? sums_of_row<true>(x, size, scale) : sums_of_row<false>(x, size, scale);
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
