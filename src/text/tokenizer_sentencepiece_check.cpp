// The bytes of a .model, before the sentencepiece library reads them: looked over, since the library follows
// its tables unchecked and takes its pieces for C strings, and changed where it has no setting.
#include "prefer/core/error.hpp"
#include "tokenizer_parts.hpp"

#include <cstring>

namespace prefer::text {
namespace {

// The wire format of protocol buffers: a key (field << 3 | wire type) and a value.
class Fields {
 public:
  Fields(std::string_view bytes, const std::string& name) : rest_(bytes), name_(name) {}

  // Calls visit(field, bytes) for every field that is a string or a message; passes over the others.
  template <class Visit>
  void for_each(Visit&& visit) {
    while (!rest_.empty()) {
      const std::uint64_t key = varint(), type = key & 7;
      if (type == 0) {
        varint();
      } else if (type == 2) {
        visit(key >> 3, take(varint()));
      } else if (type == 1 || type == 5) {
        take(type == 1 ? 8 : 4);
      } else {
        broken();
      }
    }
  }

 private:
  [[noreturn]] void broken() const { fail(name_, ": not a sentencepiece model: broken protocol buffer"); }
  std::string_view take(std::uint64_t size) {
    if (size > rest_.size()) broken();
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      value |= std::uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return value;
    }
    broken();
  }

  std::string_view rest_;
  const std::string& name_;
};

std::uint32_t unit_at(std::string_view units, std::size_t i) {
  std::uint32_t unit;
  std::memcpy(&unit, units.data() + 4 * i, 4);
  return unit;
}

// A precompiled_charsmap: the size of a double-array trie (Aoe 1989, as Darts-clone lays it out), the trie,
// and the texts that its values point into. Whatever text is sought, no step may leave the arrays: every
// unit's children stand in one block of 256, and its value inside the texts.
void check_charsmap(std::string_view map, const std::string& name) {
  if (map.empty()) return;
  const auto refuse = [&] { fail(name, ": the sentencepiece model's table of characters is damaged"); };
  if (map.size() <= 4) refuse();
  const std::size_t bytes = unit_at(map, 0);
  if (bytes == 0 || bytes % 4 != 0 || bytes >= map.size() - 4) refuse();
  const std::string_view units = map.substr(4, bytes);
  const std::size_t count = bytes / 4, texts = map.size() - 4 - bytes;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t unit = unit_at(units, i);
    if (unit >> 31 && i > 0) continue;  // a value; no byte leads to it, but every search begins at the root
    const std::size_t children = i ^ ((unit >> 10) << ((unit & (1u << 9)) >> 6));
    if ((children | 0xFF) >= count) refuse();
    const bool has_value = unit >> 8 & 1;
    if (has_value && (unit_at(units, children) & 0x7FFFFFFFu) >= texts) refuse();
  }
}

}  // namespace

void check_sentencepiece(std::string_view bytes, const std::string& name) {
  std::size_t pieces = 0;
  Fields(bytes, name).for_each([&](std::uint64_t field, std::string_view message) {
    const bool piece = field == 1, normalizer = field == 3 || field == 5;
    if (!piece && !normalizer) return;
    Fields(message, name).for_each([&](std::uint64_t inner, std::string_view value) {
      if (normalizer && inner == 2) check_charsmap(value, name);
      if (piece && inner == 1 && value.find('\0') != std::string_view::npos)
        fail(name, ": piece ", pieces, " holds a NUL byte");
    });
    pieces += piece;
  });
}

std::string without_space_in_front(std::string_view bytes, const std::string& name) {
  constexpr std::uint64_t kSelfTest = 4;
  // normalizer_spec {add_dummy_prefix: false}; of a message that stands twice the later fields count.
  constexpr std::string_view kNoPrefix("\x1a\x02\x18\x00", 4);
  std::string out;
  out.reserve(bytes.size() + kNoPrefix.size());
  std::size_t done = 0;
  Fields(bytes, name).for_each([&](std::uint64_t field, std::string_view message) {
    const auto end = static_cast<std::size_t>(message.data() + message.size() - bytes.data());
    if (field != kSelfTest) out += bytes.substr(done, end - done);  // the tests await the space
    done = end;
  });
  return out += kNoPrefix;
}

}  // namespace prefer::text
