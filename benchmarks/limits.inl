// What this machine can do at most, for benchmarks to print beside their figures: products from registers, reads.

/// 2 * 12 * kLanes FLOP a round, in twelve chains that do not wait for one another.
inline float products(std::int64_t rounds) {
  Vec sum[12];
  for (int i = 0; i < 12; ++i) sum[i] = fill(static_cast<float>(i));
  const Vec a = fill(0.999f), b = fill(1e-3f);
  for (std::int64_t n = 0; n < rounds; ++n) {
#pragma GCC unroll 12
    for (int i = 0; i < 12; ++i) sum[i] = multiply_add(sum[i], a, b);
  }
  Vec all = Vec{};
  for (int i = 0; i < 12; ++i) all = all + sum[i];
  return sum_of_lanes(all);
}

/// The sum of count floats, count a multiple of 4 * kLanes.
inline float read(const float* p, std::int64_t count) {
  Vec sum[4] = {};
  for (std::int64_t i = 0; i < count; i += 4 * kLanes) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) sum[j] = sum[j] + load(p + i + j * kLanes);
  }
  return sum_of_lanes((sum[0] + sum[1]) + (sum[2] + sum[3]));
}
