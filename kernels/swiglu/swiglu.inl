// Rows of SwiGLU, forward and backward, with vectors; compiled once for each instruction set.

template <class T>
void activate_row(const T* gate, const T* up, T* h, std::int64_t width) {
  const auto activate = [&](Vec a, Vec b) __attribute__((always_inline)) {
    return round_as(h, a / (exp(-a) + 1.0f)) * b;
  };
  std::int64_t i = 0;
  for (; i + kLanes <= width; i += kLanes) store(h + i, activate(load(gate + i), load(up + i)));
  if (i < width) {
    const std::int64_t left = width - i;
    store_part(h + i, activate(load_part(gate + i, left), load_part(up + i, left)), left);
  }
}

template <class T>
void gradient_row(const Rows<T>& r, std::int64_t width) {
  for (std::int64_t i = 0; i < width; i += kLanes) {
    const std::int64_t left = width - i;
    const bool whole = left >= kLanes;
    const Vec a = whole ? load(r.gate + i) : load_part(r.gate + i, left);
    const Vec b = whole ? load(r.up + i) : load_part(r.up + i, left);
    const Vec dh = whole ? load(r.dh + i) : load_part(r.dh + i, left);
    const Vec sigma = 1.0f / (exp(-a) + 1.0f);
    const Vec dup = dh * round_as(r.gate, a * sigma);
    const Vec slope = sigma * multiply_add(a, 1.0f - sigma, fill(1.0f));
    const Vec dgate = dh * b * slope;
    whole ? store(r.dgate + i, dgate) : store_part(r.dgate + i, dgate, left);
    whole ? store(r.dup + i, dup) : store_part(r.dup + i, dup, left);
  }
}
