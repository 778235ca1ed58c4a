// A row's maximum, weights and sums with vectors; compiled once for each instruction set.

/// The largest logit, passing over NaN; -inf for none.
template <class T>
float largest(const T* x, std::int64_t size) {
  Vec best[4];
  for (Vec& lane : best) lane = fill(-INFINITY);
  std::int64_t i = 0;
  for (; i + 4 * kLanes <= size; i += 4 * kLanes) {
#pragma GCC unroll 4
    for (std::int64_t k = 0; k < 4; ++k) best[k] = larger(load(x + i + k * kLanes), best[k]);
  }
  float result = max_of_lanes(larger(larger(best[0], best[1]), larger(best[2], best[3])));
  for (; i < size; ++i) result = widen(x[i]) > result ? widen(x[i]) : result;
  return result;
}

/// weight[j] = exp((x_j - max) scale).
template <class T>
void weigh(const T* x, std::int64_t size, float max, float scale, float* weight) {
  const auto weight_of = [&](Vec v) __attribute__((always_inline)) {
    return exp((v - fill(max)) * fill(scale));
  };
  std::int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) store(weight + i, weight_of(load(x + i)));
  if (i < size) store_part(weight + i, weight_of(load_part(x + i, size - i)), size - i);
}

/// Zeroes the weights of the tokens ranked behind `last`: smaller logits, and equal ones at higher indices.
template <class T>
void keep(const T* x, std::int64_t size, Ranked last, float* weight) {
  for (std::int64_t i = 0; i < size; i += kLanes) {
    const std::int64_t left = size - i;
    const Vec v = left >= kLanes ? load(x + i) : load_part(x + i, left);
    const Vec w = left >= kLanes ? load(weight + i) : load_part(weight + i, left);
    const std::int64_t ahead = last.index - i;  // equal logits at lanes up to this one stay
    const std::int32_t lanes = static_cast<std::int32_t>(ahead < -1 ? -1 : ahead > kLanes ? kLanes : ahead);
    const Vec equal = lane_index() <= fill_int(lanes) ? w : fill(0);
    const Vec kept = v > fill(last.logit) ? w : (v == fill(last.logit) ? equal : fill(0));
    left >= kLanes ? store(weight + i, kept) : store_part(weight + i, kept, left);
  }
}
