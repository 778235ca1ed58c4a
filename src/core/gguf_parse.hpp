// The parser of GGUF's header, apart from the file class that it fills.
#pragma once

#include "prefer/core/bytes.hpp"
#include "prefer/core/gguf.hpp"

namespace prefer {

class GgufParser {
 public:
  explicit GgufParser(GgufFile& into) : into_(into), reader_(into.file_) {}
  void parse();

 private:
  void read_metadata();
  GgufFile::Value read_value(const std::string& key);
  void read_items(GgufFile::Value& value, const std::string& key);
  std::string read_string(std::string_view what, std::uint64_t cap);
  std::uint64_t read_count(std::string_view what, std::uint64_t cap);
  void read_tensor();
  void place_tensors();
  std::uint64_t alignment() const;

  GgufFile& into_;
  ByteReader reader_;
  std::uint32_t version_ = 0;
};

}  // namespace prefer
