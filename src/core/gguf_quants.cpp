// Block formats of GGUF made floats. Layouts and formulas are those of ggml's reference functions; sums and
// products are in single precision and in their order, so that results agree with them bit for bit.
#include "prefer/core/error.hpp"
#include "prefer/core/gguf.hpp"

#include <array>
#include <bit>
#include <cstring>

namespace prefer {
namespace {

using Bytes = const unsigned char*;

template <class T>
T load(Bytes p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

float half(Bytes p) {
  const std::uint32_t h = load<std::uint16_t>(p);
  const std::uint32_t sign = (h & 0x8000u) << 16, exponent = h >> 10 & 31, fraction = h & 0x3ffu;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  const std::uint32_t wide = exponent == 31 ? 255 : exponent + 112;
  return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
}

float bfloat(Bytes p) { return std::bit_cast<float>(std::uint32_t{load<std::uint16_t>(p)} << 16); }

void block_f32(Bytes p, float* y) { *y = load<float>(p); }
void block_f16(Bytes p, float* y) { *y = half(p); }
void block_bf16(Bytes p, float* y) { *y = bfloat(p); }

void block_q4_0(Bytes p, float* y) {
  const float d = half(p);
  for (int i = 0; i < 16; ++i) {
    y[i] = static_cast<float>((p[2 + i] & 15) - 8) * d;
    y[i + 16] = static_cast<float>((p[2 + i] >> 4) - 8) * d;
  }
}

void block_q4_1(Bytes p, float* y) {
  const float d = half(p), m = half(p + 2);
  for (int i = 0; i < 16; ++i) {
    y[i] = static_cast<float>(p[4 + i] & 15) * d + m;
    y[i + 16] = static_cast<float>(p[4 + i] >> 4) * d + m;
  }
}

/// The fifth bits of Q5_0 and Q5_1 stand in one word, bit i for element i.
int fifth(std::uint32_t high, int i) { return static_cast<int>(high >> i & 1) << 4; }

void block_q5_0(Bytes p, float* y) {
  const float d = half(p);
  const auto high = load<std::uint32_t>(p + 2);
  for (int i = 0; i < 16; ++i) {
    y[i] = static_cast<float>(((p[6 + i] & 15) | fifth(high, i)) - 16) * d;
    y[i + 16] = static_cast<float>(((p[6 + i] >> 4) | fifth(high, i + 16)) - 16) * d;
  }
}

void block_q5_1(Bytes p, float* y) {
  const float d = half(p), m = half(p + 2);
  const auto high = load<std::uint32_t>(p + 4);
  for (int i = 0; i < 16; ++i) {
    y[i] = static_cast<float>((p[8 + i] & 15) | fifth(high, i)) * d + m;
    y[i + 16] = static_cast<float>((p[8 + i] >> 4) | fifth(high, i + 16)) * d + m;
  }
}

void block_q8_0(Bytes p, float* y) {
  const float d = half(p);
  for (int i = 0; i < 32; ++i) y[i] = static_cast<float>(static_cast<std::int8_t>(p[2 + i])) * d;
}

/// Scale and minimum of sub-block j of 8, six bits each, packed in 12 bytes.
struct ScaleMin {
  int scale, min;
};
ScaleMin scale_min(Bytes q, int j) {
  if (j < 4) return {q[j] & 63, q[j + 4] & 63};
  return {(q[j + 4] & 15) | (q[j - 4] >> 6) << 4, (q[j + 4] >> 4) | (q[j] >> 6) << 4};
}

void block_q4_k(Bytes p, float* y) {
  const float d = half(p), dmin = half(p + 2);
  const Bytes scales = p + 4, q = p + 16;
  for (int j = 0; j < 8; ++j) {
    const auto [scale, min] = scale_min(scales, j);
    const float step = d * static_cast<float>(scale), low = dmin * static_cast<float>(min);
    for (int i = 0; i < 32; ++i) {
      const int byte = q[32 * (j / 2) + i];
      y[32 * j + i] = step * static_cast<float>(j % 2 == 0 ? byte & 15 : byte >> 4) - low;
    }
  }
}

void block_q5_k(Bytes p, float* y) {
  const float d = half(p), dmin = half(p + 2);
  const Bytes scales = p + 4, high = p + 16, q = p + 48;
  for (int j = 0; j < 8; ++j) {
    const auto [scale, min] = scale_min(scales, j);
    const float step = d * static_cast<float>(scale), low = dmin * static_cast<float>(min);
    for (int i = 0; i < 32; ++i) {
      const int byte = q[32 * (j / 2) + i];
      const int value = (j % 2 == 0 ? byte & 15 : byte >> 4) | (high[i] >> j & 1) << 4;
      y[32 * j + i] = step * static_cast<float>(value) - low;
    }
  }
}

void block_q6_k(Bytes p, float* y) {
  const Bytes low = p, high = p + 128, scales = p + 192;
  const float d = half(p + 208);
  for (int j = 0; j < 8; ++j) {  // 32 elements each: half j / 4, quarter j % 4 of it
    const int quarter = j % 4;
    for (int i = 0; i < 32; ++i) {
      const int byte = low[64 * (j / 4) + 32 * (quarter % 2) + i];
      const int value = (quarter < 2 ? byte & 15 : byte >> 4) | (high[32 * (j / 4) + i] >> 2 * quarter & 3)
                                                                    << 4;
      const int scale = static_cast<std::int8_t>(scales[2 * j + i / 16]);
      y[32 * j + i] = d * static_cast<float>(scale) * static_cast<float>(value - 32);
    }
  }
}

struct Row {
  GgufType type;
  GgufBlock block;
  void (*dequantize)(Bytes, float*);
};
constexpr std::array<Row, 11> kTable = {{{GgufType::kF32, {"F32", 1, 4}, block_f32},
                                         {GgufType::kF16, {"F16", 1, 2}, block_f16},
                                         {GgufType::kQ4_0, {"Q4_0", 32, 18}, block_q4_0},
                                         {GgufType::kQ4_1, {"Q4_1", 32, 20}, block_q4_1},
                                         {GgufType::kQ5_0, {"Q5_0", 32, 22}, block_q5_0},
                                         {GgufType::kQ5_1, {"Q5_1", 32, 24}, block_q5_1},
                                         {GgufType::kQ8_0, {"Q8_0", 32, 34}, block_q8_0},
                                         {GgufType::kQ4_K, {"Q4_K", 256, 144}, block_q4_k},
                                         {GgufType::kQ5_K, {"Q5_K", 256, 176}, block_q5_k},
                                         {GgufType::kQ6_K, {"Q6_K", 256, 210}, block_q6_k},
                                         {GgufType::kBf16, {"BF16", 1, 2}, block_bf16}}};

const Row& row_of(GgufType type) {
  for (const Row& row : kTable)
    if (row.type == type) return row;
  std::string known;
  for (const Row& row : kTable) known += std::string(known.empty() ? "" : " ") + std::string(row.block.name);
  fail("GGUF type ", static_cast<std::uint32_t>(type), " is not read; types read are ", known);
}

}  // namespace

const GgufBlock& gguf_block(GgufType type) { return row_of(type).block; }

void gguf_dequantize(GgufType type, std::span<const std::byte> from, std::span<float> to) {
  const Row& row = row_of(type);
  const std::size_t blocks = to.size() / row.block.elements;
  if (to.size() % row.block.elements != 0 || from.size() != blocks * row.block.bytes)
    fail("dequantize: ", from.size(), " bytes of ", row.block.name, " are not ", to.size(), " elements");
  const auto* p = reinterpret_cast<Bytes>(from.data());
  if (type == GgufType::kF32) {
    if (!from.empty()) std::memcpy(to.data(), p, from.size());
    return;
  }
  for (std::size_t i = 0; i < blocks; ++i)
    row.dequantize(p + i * row.block.bytes, to.data() + i * row.block.elements);
}

}  // namespace prefer
