// A sequence's advantages and returns with vectors; compiled once for each instruction set.

/// Lane i becomes lane i + count, 0 beyond the last.
PREFER_INLINE Vec lanes_after(Vec v, std::int32_t count) {
  return __builtin_shuffle(v, fill(0), lane_index() + count);
}

/// Blocks are counted from the end, so that a sequence's bits do not depend on where it stands.
void scan_sequence(const Stretch& s) {
  Vec powers;  // of the decay: that of what comes after the block
  for (std::int64_t i = kLanes - 1, power = 1; i >= 0; --i, ++power) {
    double p = 1;
    for (std::int64_t k = 0; k < power; ++k) p *= s.decay;
    powers[i] = static_cast<float>(p);
  }
  float later = 0, next_value = 0;  // of the first token after the block
  std::int64_t end = s.size;
  for (; end >= kLanes; end -= kLanes) {
    const std::int64_t at = end - kLanes;
    const Vec value = load(s.value + at);
    Vec next = lanes_after(value, 1);
    next[kLanes - 1] = next_value;
    Vec sum = load(s.reward + at) + (next * fill(s.gamma) - value);
    double decay = s.decay;
#pragma GCC unroll 4
    for (std::int32_t step = 1; step < kLanes; step *= 2, decay *= decay)
      sum = multiply_add(lanes_after(sum, step), fill(static_cast<float>(decay)), sum);
    sum = multiply_add(powers, fill(later), sum);
    store(s.advantage + at, sum);
    store(s.returns + at, sum + value);
    later = sum[0];
    next_value = value[0];
  }
  const float decay = static_cast<float>(s.decay);
  for (std::int64_t t = end - 1; t >= 0; --t) {
    const float value = s.value[t];
    later = s.reward[t] + (next_value * s.gamma - value) + decay * later;
    s.advantage[t] = later;
    s.returns[t] = later + value;
    next_value = value;
  }
}
