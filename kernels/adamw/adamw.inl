// A stretch of an AdamW step with vectors; compiled once for each instruction set.

PREFER_INLINE Vec square_root(Vec v) {
#if PREFER_LANES == 16
  return _mm512_sqrt_ps(v);
#elif PREFER_LANES == 8
  return _mm256_sqrt_ps(v);
#else
  return _mm_sqrt_ps(v);
#endif
}

PREFER_INLINE void update(const Factors& f, Vec grad, Vec* p, Vec* m, Vec* v) {
  const Vec g = grad * fill(f.grad_scale);
  *m = multiply_add(g - *m, fill(f.blend1), *m);
  *v = multiply_add(g * g, fill(f.blend2), *v * fill(f.beta2));
  const Vec denominator = multiply_add(square_root(*v), fill(f.root_correction), fill(f.eps));
  *p = multiply_add(*m / denominator, fill(-f.step_size), *p * fill(f.decay));
}

void update_range(const Step<float>& a, const Factors& f, std::int64_t begin, std::int64_t end) {
  std::int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) {
    Vec p = load(a.param + i), m = load(a.m + i), v = load(a.v + i);
    update(f, load(a.grad + i), &p, &m, &v);
    store(a.param + i, p);
    store(a.m + i, m);
    store(a.v + i, v);
    if (a.copy) store(a.copy + i, p);
  }
  if (i == end) return;
  const std::int64_t left = end - i;
  Vec p = load_part(a.param + i, left), m = load_part(a.m + i, left), v = load_part(a.v + i, left);
  update(f, load_part(a.grad + i, left), &p, &m, &v);
  store_part(a.param + i, p, left);
  store_part(a.m + i, m, left);
  store_part(a.v + i, v, left);
  if (a.copy) store_part(a.copy + i, p, left);
}
