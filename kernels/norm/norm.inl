// Rows of RMSNorm, forward and backward, with vectors; compiled once for each instruction set.

/// Stores x + residual to `sum` where there is a residual; returns the sum of the squares.
template <class T>
float sum_squares(const T* x, const T* residual, T* sum, std::int64_t width) {
  const auto read = [&](std::int64_t i, std::int64_t count) __attribute__((always_inline)) {
    const bool whole = count == kLanes;
    Vec v = whole ? load(x + i) : load_part(x + i, count);
    if (residual) {
      v = round_as(x, v + (whole ? load(residual + i) : load_part(residual + i, count)));
      whole ? store(sum + i, v) : store_part(sum + i, v, count);
    }
    return v;
  };
  Vec total[4] = {fill(0), fill(0), fill(0), fill(0)};
  std::int64_t i = 0;
  for (; i + 4 * kLanes <= width; i += 4 * kLanes) {
#pragma GCC unroll 4
    for (std::int64_t k = 0; k < 4; ++k) {
      const Vec v = read(i + k * kLanes, kLanes);
      total[k] = multiply_add(v, v, total[k]);
    }
  }
  for (; i < width; i += kLanes) {
    const Vec v = read(i, width - i < kLanes ? width - i : kLanes);
    total[0] = multiply_add(v, v, total[0]);
  }
  return sum_of_lanes((total[0] + total[1]) + (total[2] + total[3]));
}

template <class T>
void scale_row(const T* s, const T* weight, float rstd, T* y, std::int64_t width) {
  std::int64_t i = 0;
  for (; i + kLanes <= width; i += kLanes) {
    store(y + i, load(weight + i) * round_as(y, load(s + i) * fill(rstd)));
  }
  if (i < width) {
    const std::int64_t left = width - i;
    store_part(y + i, load_part(weight + i, left) * round_as(y, load_part(s + i, left) * fill(rstd)), left);
  }
}

/// Adds dy n to dweight (unless null) and returns sum dy w s.
template <class T>
float gradient_sums(const T* s, const T* weight, const T* dy, float rstd, float* dweight,
                    std::int64_t width) {
  Vec total = fill(0);
  for (std::int64_t i = 0; i < width; i += kLanes) {
    const std::int64_t left = width - i;
    const bool whole = left >= kLanes;
    const Vec sv = whole ? load(s + i) : load_part(s + i, left);
    const Vec dv = whole ? load(dy + i) : load_part(dy + i, left);
    total = multiply_add(dv * (whole ? load(weight + i) : load_part(weight + i, left)), sv, total);
    if (!dweight) continue;
    const Vec n = round_as(s, sv * fill(rstd));
    if (whole) {
      store(dweight + i, multiply_add(dv, n, load(dweight + i)));
    } else {
      store_part(dweight + i, multiply_add(dv, n, load_part(dweight + i, left)), left);
    }
  }
  return sum_of_lanes(total);
}

/// dx = rstd (dy w - s pull) + dsum.
template <class T>
void gradient_row(const Backward<T>& a, std::int64_t row, float pull) {
  const T* s = a.x + row * a.x_stride;
  const T* dy = a.dy + row * a.width;
  const T* dsum = a.dsum ? a.dsum + row * a.width : nullptr;
  T* dx = a.dx + row * a.width;
  const Vec rstd = fill(a.rstd[row]);
  for (std::int64_t i = 0; i < a.width; i += kLanes) {
    const std::int64_t left = a.width - i;
    const bool whole = left >= kLanes;
    const Vec u =
        whole ? load(dy + i) * load(a.weight + i) : load_part(dy + i, left) * load_part(a.weight + i, left);
    const Vec sv = whole ? load(s + i) : load_part(s + i, left);
    Vec gradient = multiply_add(sv, fill(-pull), u) * rstd;
    if (dsum) gradient += whole ? load(dsum + i) : load_part(dsum + i, left);
    whole ? store(dx + i, gradient) : store_part(dx + i, gradient, left);
  }
}
