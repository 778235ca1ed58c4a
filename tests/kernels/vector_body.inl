// What vector_test.cpp runs on each instruction set.

inline void exp_of(const float* x, float* y, std::int64_t count) {
  for (std::int64_t i = 0; i < count; i += kLanes) store(y + i, exp(load(x + i)));
}

inline void transpose_of(const float* from, float* to) {
  Vec rows[kLanes];
  for (std::int64_t i = 0; i < kLanes; ++i) rows[i] = load(from + i * kLanes);
  transpose(rows);
  for (std::int64_t i = 0; i < kLanes; ++i) store(to + i * kLanes, rows[i]);
}

inline void to_bf16(const float* from, bf16* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; i += kLanes) store(to + i, load(from + i));
}

inline void from_bf16(const bf16* from, float* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; i += kLanes) store(to + i, load(from + i));
}
