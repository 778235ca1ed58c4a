// Rows of the KL divergence and of its gradient with vectors; compiled once for each instruction set.

/// The largest element of a row; NaN is passed over.
template <class T>
float largest_of(const T* x, std::int64_t size) {
  const Vec none = fill(-__builtin_inff());
  Vec largest = none;
  std::int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) largest = larger(load(x + i), largest);
  float result = max_of_lanes(largest);
  for (; i < size; ++i) {
    const float last = widen(x[i]);
    result = last > result ? last : result;
  }
  return result;
}

template <class T>
PREFER_INLINE Vec load_some(const T* p, std::int64_t left, float rest) {
  if (left >= kLanes) return load(p);
  Vec v = load_part(p, left);
  const IntVec inside = lane_index() < fill_int(static_cast<std::int32_t>(left));
  return inside ? v : fill(rest);
}

template <class T>
RowSums row_sums(const T* x, const T* y, std::int64_t size, float scale) {
  constexpr std::int64_t kBlock = 1024;  // summed in float, the blocks in double
  RowSums sums;
  sums.policy_max = scale * largest_of(x, size), sums.reference_max = scale * largest_of(y, size);
  const float nothing = -__builtin_inff();
  for (std::int64_t begin = 0; begin < size; begin += kBlock) {
    const std::int64_t end = begin + kBlock < size ? begin + kBlock : size;
    Vec policy = fill(0), reference = fill(0), weighted = fill(0);
    for (std::int64_t i = begin; i < end; i += kLanes) {
      const Vec off = load_some(x + i, end - i, nothing) * fill(scale) - fill(sums.policy_max);
      const Vec other = load_some(y + i, end - i, nothing) * fill(scale) - fill(sums.reference_max);
      const Vec e = exp(off);
      const Vec part = e * (off - other);
      policy += e;
      reference += exp(other);
      weighted += e > fill(0) ? part : e;  // keeps a NaN of e
    }
    sums.policy += sum_of_lanes(policy);
    sums.reference += sum_of_lanes(reference);
    sums.weighted += sum_of_lanes(weighted);
  }
  return sums;
}

template <class T>
void gradient_row(const T* x, const T* y, T* dx, std::int64_t size, const RowGradient<float>& row) {
  for (std::int64_t i = 0; i < size; i += kLanes) {
    const std::int64_t left = size - i;
    const Vec logp = load_some(x + i, left, 0) * fill(row.scale) - fill(row.policy_lse);
    const Vec logq = load_some(y + i, left, 0) * fill(row.scale) - fill(row.reference_lse);
    const Vec p = exp(logp);
    const Vec d = p * (fill(row.of_kl) * ((logp - logq) - fill(row.kl)) - fill(row.of_label));
    const Vec gradient = p == fill(0) ? p : d;
    left >= kLanes ? store(dx + i, gradient) : store_part(dx + i, gradient, left);
  }
}
