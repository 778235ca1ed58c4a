// The most that an instruction set multiplies and adds: from registers, without a memory access. The limit of
// attention.

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
