// A row's sums and a row's gradient with vectors; compiled once for each instruction set.

constexpr std::int64_t kBlock = 1024;  // 4 KiB: read from memory once, then from the first cache

/// Copies x to `block` as floats, padded with -inf to whole vectors; returns the largest, passing over NaN.
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
  return max_of_lanes(larger(larger(largest[0], largest[1]), larger(largest[2], largest[3])));
}

/// Adds sum exp(scale x - max), and with kWeighted that times (scale x - max), of a block.
template <bool kWeighted>
PREFER_INLINE void add_block(const float* block, std::int64_t count, float scale, float max, RowSums* sums) {
  Vec sum[2] = {fill(0), fill(0)};
  Vec weighted[2] = {fill(0), fill(0)};
  std::int64_t i = 0;
  for (; i + 2 * kLanes <= count + kLanes - 1; i += 2 * kLanes) {
#pragma GCC unroll 2
    for (std::int64_t k = 0; k < 2; ++k) {
      const Vec off = multiply_add(load(block + i + k * kLanes), fill(scale), fill(-max));
      const Vec e = exp(off);
      sum[k] += e;
      if (kWeighted) weighted[k] = multiply_add(e, larger(fill(-200.0f), off), weighted[k]);
    }
  }
  if (i < count) {
    const Vec off = multiply_add(load(block + i), fill(scale), fill(-max));
    const Vec e = exp(off);
    sum[0] += e;
    if (kWeighted) weighted[0] = multiply_add(e, larger(fill(-200.0f), off), weighted[0]);
  }
  sums->sum += sum_of_lanes(sum[0] + sum[1]);
  if (kWeighted) sums->weighted += sum_of_lanes(weighted[0] + weighted[1]);
}

PREFER_INLINE std::int64_t first_equal(const float* block, float value) {
  std::int64_t at = 0;
  while (block[at] != value) ++at;
  return at;
}

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
    const float max = sums.largest == -INFINITY ? 0.0f : scale * sums.largest;
    if (weighted) {
      add_block<true>(block, count, scale, max, &sums);
    } else {
      add_block<false>(block, count, scale, max, &sums);
    }
  }
  return sums;
}

/// dx of a whole row as if no element were the label: exp(z - lse) (slope (z - lse) + offset).
template <class T>
void row_gradient(const T* x, T* dx, std::int64_t size, const Line& line) {
  const Vec scale = fill(line.scale), lse = fill(-line.lse), slope = fill(line.slope), offset = fill(line.offset);
  const auto gradient = [&](Vec v) __attribute__((always_inline)) {
    const Vec off = multiply_add(v, scale, lse);
    return exp(off) * multiply_add(larger(fill(-200.0f), off), slope, offset);
  };
  std::int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) store(dx + i, gradient(load(x + i)));
  if (i < size) store_part(dx + i, gradient(load_part(x + i, size - i)), size - i);
}
