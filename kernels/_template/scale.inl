// A row of scale with vectors; compiled once for each instruction set. No calls to the standard library here.

template <class T>
void scale_row(const T* x, T* y, float factor, std::int64_t width) {
  std::int64_t i = 0;
  for (; i + kLanes <= width; i += kLanes) store(y + i, load(x + i) * fill(factor));
  if (i < width) store_part(y + i, load_part(x + i, width - i) * fill(factor), width - i);
}
