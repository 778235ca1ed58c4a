// GGUF: values of gguf-py's files, and dequantisation in closed form and against gguf-py.
#include "prefer/core/gguf.hpp"

#include "support/builders.hpp"
#include "support/data.hpp"
#include "support/error.hpp"
#include "support/memory_fs.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

namespace prefer {
namespace {

using testing::error_of;
using testing::Gguf;
using testing::MemoryFs;

std::vector<float> rows(const GgufFile& file, const std::string& name) {
  const GgufTensor& tensor = file.at(name);
  std::vector<float> values(static_cast<std::size_t>(tensor.rows() * tensor.row_elements()));
  file.read_rows(tensor, values);
  return values;
}

TEST(Gguf, ReadsMetadataOfEveryType) {
  PosixFs fs;
  const GgufFile file(fs, testing::golden("quants.gguf").string());
  EXPECT_EQ(file.text("general.architecture"), "golden");
  EXPECT_EQ(file.integer("v.u8"), 200);
  EXPECT_EQ(file.integer("v.i8"), -100);
  EXPECT_EQ(file.integer("v.u16"), 60000);
  EXPECT_EQ(file.integer("v.i16"), -30000);
  EXPECT_EQ(file.integer("v.u32"), 4000000000);
  EXPECT_EQ(file.integer("v.i32"), -2000000000);
  EXPECT_EQ(file.integer("v.i64"), -(std::int64_t{1} << 62));
  EXPECT_EQ(file.number("v.f32"), 0.1f);
  EXPECT_EQ(file.number("v.f64"), 0.1);
  EXPECT_EQ(file.number("v.u8"), 200.0);
  EXPECT_TRUE(file.boolean("v.bool"));
  EXPECT_EQ(file.text("v.string"), "caf\xc3\xa9");
  EXPECT_EQ(file.texts("a.strings"), (std::vector<std::string_view>{"one", "", "three"}));
  EXPECT_EQ(file.integers("a.i32"), (std::vector<std::int64_t>{1, -2, 3}));
  EXPECT_EQ(file.numbers("a.f32"), (std::vector<float>{0.5f, -1.5f}));
  EXPECT_EQ(file.integer("none", 7), 7);
  EXPECT_TRUE(file.texts("none").empty());
}

TEST(Gguf, TypedAccessSaysWhatItFound) {
  PosixFs fs;
  const GgufFile file(fs, testing::golden("quants.gguf").string());
  const std::string at = file.path() + ": ";
  EXPECT_EQ(error_of([&] { file.integer("none"); }), at + "the key none is missing");
  EXPECT_EQ(error_of([&] { file.integer("v.f32"); }),
            at + "v.f32: expected an integer, found a value of type f32");
  EXPECT_EQ(error_of([&] { file.text("v.u8"); }), at + "v.u8: expected a string, found a value of type u8");
  EXPECT_EQ(error_of([&] { file.integer("a.i32", 1); }),
            at + "a.i32: expected an integer, found an array of i32");
  EXPECT_EQ(error_of([&] { file.texts("a.i32"); }),
            at + "a.i32: expected an array of strings, found an array of i32");
  EXPECT_EQ(error_of([&] { file.integer("v.u64"); }),
            at + "v.u64: 9223372036854775808 does not fit 64 signed bits");
  EXPECT_NE(error_of([&] { file.number("v.bool"); }), "");
  EXPECT_NE(error_of([&] { file.boolean("v.u8"); }), "");
  EXPECT_NE(error_of([&] { file.numbers("v.f32"); }), "");
}

// gguf-py's numpy code is an independent statement of the formats; single precision in the same order: equal
// bits.
TEST(Gguf, DequantisesAsGgufPy) {
  PosixFs fs;
  const GgufFile file(fs, testing::golden("quants.gguf").string());
  for (const char* type : {"F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"}) {
    const std::string name = type;
    const std::vector<float> stored = rows(file, name + ".stored"), floats = rows(file, name + ".floats");
    ASSERT_EQ(stored.size(), floats.size());
    EXPECT_EQ(gguf_block(file.at(name + ".stored").type).name, name);
    for (std::size_t i = 0; i < stored.size(); ++i) EXPECT_EQ(stored[i], floats[i]) << name << " " << i;
    const GgufTensor& tensor = file.at(name + ".stored");
    std::vector<float> second(static_cast<std::size_t>(tensor.row_elements()));
    file.read_rows(tensor, second, 1);
    EXPECT_EQ(second, std::vector<float>(floats.begin() + tensor.row_elements(), floats.end()));
    EXPECT_NE(error_of([&] { file.read_rows(tensor, second, 2); }), "");
    EXPECT_NE(error_of([&] { file.read_rows(tensor, second, -1); }), "");
    EXPECT_NE(error_of([&] { file.read_rows(tensor, std::span(second).subspan(1)); }), "");
  }
}

std::vector<float> dequantize(GgufType type, const std::vector<std::uint8_t>& block, std::size_t elements) {
  std::vector<float> values(elements);
  gguf_dequantize(type, std::as_bytes(std::span(block)), values);
  return values;
}
constexpr std::uint8_t kOneLow = 0x00, kOneHigh = 0x3c, kHalfHigh = 0x38;  // 1.0 and 0.5 in half precision

TEST(Gguf, BlocksInClosedForm) {
  std::vector<std::uint8_t> q4{kOneLow, kHalfHigh};
  for (int i = 0; i < 16; ++i) q4.push_back(static_cast<std::uint8_t>(i | (15 - i) << 4));
  std::vector<float> values = dequantize(GgufType::kQ4_0, q4, 32);
  for (int i = 0; i < 16; ++i) {
    EXPECT_EQ(values[static_cast<std::size_t>(i)], 0.5f * static_cast<float>(i - 8));
    EXPECT_EQ(values[static_cast<std::size_t>(i + 16)], 0.5f * static_cast<float>(7 - i));
  }
  q4.insert(q4.begin() + 2, {kOneLow, kOneHigh});
  values = dequantize(GgufType::kQ4_1, q4, 32);
  for (int i = 0; i < 16; ++i)
    EXPECT_EQ(values[static_cast<std::size_t>(i)], 0.5f * static_cast<float>(i) + 1);

  std::vector<std::uint8_t> q5{kOneLow, kOneHigh, 0x01, 0, 0, 0x80};  // high bits of elements 0 and 31
  q5.resize(22, 0);
  values = dequantize(GgufType::kQ5_0, q5, 32);
  for (std::size_t i = 0; i < 32; ++i) EXPECT_EQ(values[i], i == 0 || i == 31 ? 0.0f : -16.0f) << i;

  std::vector<std::uint8_t> q8{kOneLow, kHalfHigh};
  for (int i = 0; i < 32; ++i) q8.push_back(static_cast<std::uint8_t>(static_cast<std::int8_t>(i * 8 - 128)));
  values = dequantize(GgufType::kQ8_0, q8, 32);
  for (int i = 0; i < 32; ++i) EXPECT_EQ(values[static_cast<std::size_t>(i)], static_cast<float>(i * 4 - 64));
}

TEST(Gguf, SuperBlocksInClosedForm) {
  // Q4_K with d = 1, dmin = 0.5, scales 1..8, minima 8..15 and every nibble 3: x = 3 scale - min / 2.
  std::vector<std::uint8_t> q4{kOneLow, kOneHigh, kOneLow, kHalfHigh};
  for (int j = 0; j < 4; ++j) q4.push_back(static_cast<std::uint8_t>(j + 1));
  for (int j = 0; j < 4; ++j) q4.push_back(static_cast<std::uint8_t>(j + 8));
  for (int j = 4; j < 8; ++j) q4.push_back(static_cast<std::uint8_t>((j + 1) | (j + 8) << 4));
  q4.resize(144, 0x33);
  std::vector<float> values = dequantize(GgufType::kQ4_K, q4, 256);
  for (std::size_t i = 0; i < 256; ++i) {
    const auto j = static_cast<float>(i / 32);
    EXPECT_EQ(values[i], 3 * (j + 1) - (j + 8) / 2) << i;
  }
  // Q6_K with d = 0.5, scale of each 16 their index - 8, low nibbles 5, high bits 2: x = 0.5 (k - 8) (37 -
  // 32).
  std::vector<std::uint8_t> q6(128, 0x55);
  q6.resize(192, 0xaa);
  for (int k = 0; k < 16; ++k) q6.push_back(static_cast<std::uint8_t>(static_cast<std::int8_t>(k - 8)));
  q6.insert(q6.end(), {kOneLow, kHalfHigh});
  values = dequantize(GgufType::kQ6_K, q6, 256);
  for (std::size_t i = 0; i < 256; ++i) EXPECT_EQ(values[i], 2.5f * (static_cast<float>(i / 16) - 8)) << i;
}

TEST(Gguf, HalvesAreExact) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const int exponent = static_cast<int>(bits >> 10 & 31), fraction = static_cast<int>(bits & 1023);
    double wanted = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
    if (exponent == 31) wanted = fraction ? std::nan("") : std::numeric_limits<double>::infinity();
    if (bits >> 15) wanted = -wanted;
    const float got = dequantize(
        GgufType::kF16, {static_cast<std::uint8_t>(bits), static_cast<std::uint8_t>(bits >> 8)}, 1)[0];
    if (std::isnan(wanted))
      ASSERT_TRUE(std::isnan(got)) << bits;
    else
      ASSERT_TRUE(got == wanted && std::signbit(got) == std::signbit(wanted)) << bits;
  }
}

std::string complaint(const std::string& bytes) {
  MemoryFs fs;
  fs.put("f.gguf", bytes);
  return error_of([&] { GgufFile(fs, "f.gguf"); });
}

// What is refused stands in tests/malformed.
TEST(Gguf, ReadsTheSmallestFiles) {
  EXPECT_EQ(complaint(Gguf().head(0, 0).bytes), "");
  EXPECT_EQ(complaint(Gguf().head(0, 0, 2).bytes), "");
  EXPECT_EQ(complaint(Gguf().head(1, 0).tensor("w", {32, 2}, 2, 0).data(36).bytes), "");
  EXPECT_EQ(complaint(Gguf().head(2, 0).tensor("a", {16}, 0, 0).tensor("b", {8}, 0, 64).data(96).bytes), "");
}

TEST(Gguf, ShapesAreTurnedRound) {
  MemoryFs fs;
  fs.put("f", Gguf().head(1, 0).tensor("w", {4, 3, 2}, 0, 0).data(96).bytes);
  const GgufFile file(fs, "f");
  EXPECT_EQ(file.at("w").shape, (std::vector<std::int64_t>{2, 3, 4}));
  EXPECT_EQ(file.at("w").rows(), 6);
  EXPECT_EQ(file.at("w").row_elements(), 4);
}

TEST(Gguf, EveryTruncationOfTheHeaderIsRefused) {
  PosixFs disk;
  const std::string golden = read_file(disk, testing::golden("quants.gguf").string(), 1 << 20);
  const std::size_t header = golden.find("Q6_K.floats") + 60;
  for (std::size_t n = 0; n < header; n += 3) EXPECT_NE(complaint(golden.substr(0, n)), "") << n;
}

TEST(Gguf, ReadsSmolLm2) {
  const auto path = testing::smollm2();
  PREFER_NEEDS(path);
  PosixFs fs;
  const GgufFile file(fs, path.string());
  EXPECT_EQ(file.text("general.architecture"), "llama");
  EXPECT_EQ(file.tensors().size(), 272u);
  EXPECT_EQ(file.texts("tokenizer.ggml.tokens").size(), 49152u);
  const GgufTensor& embedding = file.at("token_embd.weight");
  EXPECT_EQ(embedding.shape, (std::vector<std::int64_t>{49152, 576}));
  EXPECT_EQ(gguf_block(embedding.type).name, "Q8_0");
  std::vector<float> last(576);
  file.read_rows(embedding, last, 49151);
  for (const float x : last) EXPECT_TRUE(std::isfinite(x));
}

}  // namespace
}  // namespace prefer
