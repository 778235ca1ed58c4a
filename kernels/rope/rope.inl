// A head's rotation with vectors; compiled once for each instruction set.

template <class T>
void rotate_head(const T* x, T* y, const float* cos, const float* sin, float sign, std::int64_t half) {
  for (std::int64_t i = 0; i < half; i += kLanes) {
    const std::int64_t left = half - i;
    const bool whole = left >= kLanes;
    const Vec c = whole ? load(cos + i) : load_part(cos + i, left);
    const Vec s = (whole ? load(sin + i) : load_part(sin + i, left)) * fill(sign);
    const Vec first = whole ? load(x + i) : load_part(x + i, left);
    const Vec second = whole ? load(x + half + i) : load_part(x + half + i, left);
    const Vec low = multiply_add(first, c, -(second * s));
    const Vec high = multiply_add(second, c, first * s);
    whole ? store(y + i, low) : store_part(y + i, low, left);
    whole ? store(y + half + i, high) : store_part(y + half + i, high, left);
  }
}
