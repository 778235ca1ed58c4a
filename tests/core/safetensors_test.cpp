// safetensors: the bytes of Hugging Face's own writer, and files cut off anywhere.
#include "prefer/core/safetensors.hpp"

#include "prefer/core/sha256.hpp"
#include "support/builders.hpp"
#include "support/data.hpp"
#include "support/error.hpp"
#include "support/memory_fs.hpp"
#include "support/temp_dir.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

namespace prefer {
namespace {

using testing::error_of;
using testing::TempDir;

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

void write(const std::string& path, std::string_view text) { std::ofstream(path, std::ios::binary) << text; }

class Safetensors : public ::testing::Test {
 protected:
  std::string complaint(const std::string& bytes) {
    testing::MemoryFs memory;
    memory.put("f", bytes);
    std::string message = error_of([&] { SafetensorsFile(memory, "f"); });
    if (message.starts_with("f:")) message.erase(0, 1);
    return message;
  }
  PosixFs fs;
  TempDir dir;
  std::string path = dir / "f.safetensors";
};

TEST_F(Safetensors, WritesTheBytesOfHuggingFace) {
  const std::vector<float> weight = {0, 1, 2, 3, 4, 5};
  const std::vector<std::uint16_t> half = {0x3800, 0xc000, 0x7bff};
  const std::vector<std::uint8_t> raw = {1, 2, 255}, mask = {1, 0, 1};
  const std::vector<std::int64_t> scalar = {-7};
  const std::vector<double> real = {0.1};
  const std::vector<std::int32_t> cafe = {3};
  const auto written = write_safetensors(
      fs, path,
      {stored("model.weight", StoredType::kF32, {2, 3}, bytes_of(weight)),
       stored("a.half", StoredType::kF16, {3}, bytes_of(half)),
       stored("b.bytes", StoredType::kU8, {3}, bytes_of(raw)),
       stored("scalar", StoredType::kI64, {}, bytes_of(scalar)),
       stored("z.double", StoredType::kF64, {1, 1}, bytes_of(real)),
       stored("empty", StoredType::kF32, {0, 4}, {}), stored("mask", StoredType::kBool, {3}, bytes_of(mask)),
       stored("caf\xc3\xa9", StoredType::kI32, {1}, bytes_of(cafe))});
  const std::string golden = read_file(fs, testing::golden("small.safetensors").string(), 1 << 20);
  EXPECT_EQ(read_file(fs, path, 1 << 20), golden);
  EXPECT_EQ(written.size, golden.size());
  EXPECT_EQ(written.sha256, sha256(golden));
}

TEST_F(Safetensors, ReadsTheFileOfHuggingFace) {
  const SafetensorsFile file(fs, testing::golden("small.safetensors").string());
  EXPECT_EQ(file.tensors().size(), 8u);
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"format", "pt"}}));
  const StoredTensor& weight = file.at("model.weight");
  EXPECT_EQ(weight.type, StoredType::kF32);
  EXPECT_EQ(weight.shape, (std::vector<std::int64_t>{2, 3}));
  std::vector<float> values(6), last(2);
  file.read(weight, std::as_writable_bytes(std::span(values)));
  EXPECT_EQ(values, (std::vector<float>{0, 1, 2, 3, 4, 5}));
  file.read(weight, std::as_writable_bytes(std::span(last)), 16);
  EXPECT_EQ(last, (std::vector<float>{4, 5}));
  EXPECT_NE(error_of([&] { file.read(weight, std::as_writable_bytes(std::span(last)), 17); }), "");
  EXPECT_EQ(file.at("scalar").shape.size(), 0u);
  EXPECT_EQ(file.at("empty").bytes, 0u);
  EXPECT_EQ(file.find("no"), nullptr);
  EXPECT_EQ(error_of([&] { file.at("no"); }), file.path() + ": tensor \"no\" is missing");
}

// What is refused stands in tests/malformed.
TEST_F(Safetensors, ReadsTheSmallestFiles) {
  const auto entry = [](const std::string& size, const std::string& offsets) {
    return "{\"dtype\":\"U8\",\"shape\":[" + size + "],\"data_offsets\":[" + offsets + "]}";
  };
  EXPECT_EQ(complaint(testing::safetensors("{}  ", 0)), "");
  EXPECT_EQ(complaint(testing::safetensors("{\"w\":" + entry("8", "0,8") + "}", 8)), "");
  EXPECT_EQ(
      complaint(testing::safetensors("{\"b\":" + entry("4", "4,8") + ",\"a\":" + entry("4", "0,4") + "}", 8)),
      "");
  EXPECT_EQ(
      complaint(testing::safetensors("{\"b\":" + entry("8", "0,8") + ",\"a\":" + entry("0", "8,8") + "}", 8)),
      "");
  EXPECT_EQ(
      complaint(testing::safetensors("{\"" + std::string(512, 'n') + "\":" + entry("0", "0,0") + "}", 0)),
      "");
}

TEST_F(Safetensors, EveryTruncationAndExtensionIsRefused) {
  const std::string golden = read_file(fs, testing::golden("small.safetensors").string(), 1 << 20);
  for (std::size_t n = 0; n < golden.size(); ++n) EXPECT_NE(complaint(golden.substr(0, n)), "") << n;
  EXPECT_NE(complaint(golden + "x"), "");
}

TEST_F(Safetensors, WriterRefusesWhatItsReaderWould) {
  const std::vector<float> one = {1};
  const auto refused = [&](std::vector<TensorToStore> tensors) {
    const std::string message = error_of([&] { write_safetensors(fs, path, std::move(tensors)); });
    std::filesystem::remove(path);
    return message;
  };
  EXPECT_EQ(refused({stored("w", StoredType::kF32, {2}, bytes_of(one))}).substr(path.size(), 22),
            ": tensor \"w\": ended at");
  EXPECT_NE(refused({stored("w", StoredType::kF32, {1}, bytes_of(one)),
                     stored("w", StoredType::kF32, {1}, bytes_of(one))}),
            "");
  EXPECT_NE(refused({stored("w", StoredType::kF32, {-1}, {})}), "");
  EXPECT_EQ(refused({stored("w", StoredType::kF32, {1}, bytes_of(one))}), "");
}

TEST_F(Safetensors, FoldersOfShards) {
  const std::vector<float> one = {1};
  const auto shard = [&](const std::string& file, const std::string& tensor) {
    write_safetensors(fs, dir / file, {stored(tensor, StoredType::kF32, {1}, bytes_of(one))});
  };
  shard("model-00001-of-00002.safetensors", "a");
  shard("model-00002-of-00002.safetensors", "b");
  const std::string index = dir / "model.safetensors.index.json";
  const auto message = [&](const std::string& map) {
    write(index, "{\"metadata\":{\"total_size\":8},\"weight_map\":" + map + "}");
    return error_of([&] { EXPECT_EQ(SafetensorsFolder(fs, dir.string()).tensors().size(), 2u); });
  };
  EXPECT_EQ(message(R"({"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"})"),
            "");
  shard("model.safetensors", "whole");
  EXPECT_EQ(SafetensorsFolder(fs, dir.string()).tensors().begin()->first, "whole");
}

TEST_F(Safetensors, ReadsARealModel) {
  const auto folder = testing::shared_data("models/stories260K/hf");
  PREFER_NEEDS(folder);
  const SafetensorsFolder model(fs, folder.string());
  std::uint64_t elements = 0;
  for (const auto& [name, found] : model.tensors())
    elements += found.tensor->bytes * 8 / type_bits(found.tensor->type);
  EXPECT_EQ(elements, 260'032u);  // its published size; the head is tied
}

}  // namespace
}  // namespace prefer
