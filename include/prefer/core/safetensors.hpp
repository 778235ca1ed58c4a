// The safetensors format, read and written without LibTorch: header, checks, bytes (docs/formats.md).
#pragma once

#include "prefer/core/fs.hpp"
#include "prefer/core/json.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace prefer {

/// In the format's own order; files are written with the later types first.
enum class StoredType {
  kBool,
  kF4,
  kF6E2M3,
  kF6E3M2,
  kU8,
  kI8,
  kF8E5M2,
  kF8E4M3,
  kF8E8M0,
  kF8E4M3Fnuz,
  kF8E5M2Fnuz,
  kI16,
  kU16,
  kF16,
  kBf16,
  kI32,
  kU32,
  kF32,
  kC64,
  kF64,
  kI64,
  kU64
};
/// "F32", "BF16", ...
std::string_view type_name(StoredType type);
/// Bits of one element.
std::uint64_t type_bits(StoredType type);

struct StoredTensor {
  std::string name;
  StoredType type;
  std::vector<std::int64_t> shape;  ///< row-major
  std::uint64_t offset;             ///< of the first byte, in the file
  std::uint64_t bytes;
};
/// `F32 [2, 3]`
std::string describe_type(StoredType type, std::span<const std::int64_t> shape);

/// One open file. All that the header says is checked before the constructor returns: known types, at most 8
/// dimensions, sizes that fit, contiguous from the first byte to the last of the file, no name twice. Errors
/// are one line with file, tensor and byte offset. The bytes themselves are read on demand, by pread.
class SafetensorsFile {
 public:
  SafetensorsFile(Fs& fs, const std::string& path);

  const std::string& path() const { return file_.path(); }
  const std::vector<StoredTensor>& tensors() const { return tensors_; }  ///< in the order of the bytes
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const StoredTensor* find(std::string_view name) const;
  /// Throws when it is missing.
  const StoredTensor& at(std::string_view name) const;
  /// Reads `to.size()` bytes of a tensor, `skip` bytes from its begin.
  void read(const StoredTensor& tensor, std::span<std::byte> to, std::uint64_t skip = 0) const;

 private:
  void check_layout(std::uint64_t begin, std::uint64_t size) const;

  File file_;
  std::vector<StoredTensor> tensors_;
  std::map<std::string, std::size_t, std::less<>> index_;
  std::map<std::string, std::string> metadata_;
};

/// The weights of a model folder: `model.safetensors`, or the shards of `model.safetensors.index.json` (whose
/// file names must be plain names in the folder, and whose map must be exactly what the shards hold).
class SafetensorsFolder {
 public:
  SafetensorsFolder(Fs& fs, const std::string& folder);

  struct Found {
    const SafetensorsFile* file;
    const StoredTensor* tensor;
  };
  const std::map<std::string, Found, std::less<>>& tensors() const { return tensors_; }

 private:
  void add(Fs& fs, const std::string& path);
  void read_index(Fs& fs, const std::string& folder);

  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, Found, std::less<>> tensors_;
};

/// A tensor to write. `produce` hands its bytes to the sink, in order, in pieces of any size.
struct TensorToStore {
  using Sink = std::function<void(std::span<const std::byte>)>;
  std::string name;
  StoredType type;
  std::vector<std::int64_t> shape;
  std::function<void(const Sink&)> produce;
};
/// With bytes that lie in memory and outlive the write.
TensorToStore stored(std::string name, StoredType type, std::vector<std::int64_t> shape,
                     std::span<const std::byte> bytes);

struct WrittenFile {
  std::uint64_t size;
  std::string sha256;
};
/// Makes `path` (which must not exist) as Hugging Face's library does: types of larger alignment first, then
/// by name, header padded to 8 bytes. Synced when it returns. Throws when a tensor yields another number of
/// bytes than its type and shape say.
WrittenFile write_safetensors(Fs& fs, const std::string& path, std::vector<TensorToStore> tensors,
                              const std::map<std::string, std::string>& metadata = {{"format", "pt"}});

}  // namespace prefer
