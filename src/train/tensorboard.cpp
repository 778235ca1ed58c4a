// Writes TensorBoard's Event messages by hand: five fields need no protobuf library.
#include "prefer/train/tensorboard.hpp"

#include "prefer/core/crc32c.hpp"
#include "prefer/core/fs.hpp"
#include "prefer/train/hooks.hpp"

#include <unistd.h>

#include <cstring>
#include <memory>

namespace prefer {
namespace {

template <class T>
std::string little_endian(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 128; value >>= 7) bytes += static_cast<char>((value & 127) | 128);
  return bytes + static_cast<char>(value);
}

// A field's key is its number and how its value is written: 0 varint, 1 eight bytes, 2 length and bytes, 5
// four bytes.
std::string key(int field, int wire) { return varint(static_cast<std::uint64_t>(field << 3 | wire)); }
std::string bytes_field(int field, const std::string& bytes) {
  return key(field, 2) + varint(bytes.size()) + bytes;
}

std::string masked_crc(const std::string& bytes) {
  const std::uint32_t crc = crc32c(bytes);
  return little_endian<std::uint32_t>((crc >> 15 | crc << 17) + 0xa282ead8U);
}

std::string record(const std::string& event) {
  const std::string length = little_endian<std::uint64_t>(event.size());
  return length + masked_crc(length) + event + masked_crc(event);
}

std::string file_name(double now) {
  char host[256] = "localhost";
  gethostname(host, sizeof host - 1);
  return "events.out.tfevents." + std::to_string(static_cast<int64_t>(now)) + "." + host + "." +
         std::to_string(getpid()) + ".";
}

File new_file(Fs& fs, const std::string& folder, double now) {
  make_directories(fs, folder);
  const std::string name = join_path(folder, file_name(now));
  int number = 0;
  while (fs.exists(name + std::to_string(number))) ++number;
  return File::create(fs, name + std::to_string(number));
}

std::string tag(const std::string& metric) {
  return metric.starts_with("eval_") ? "eval/" + metric.substr(5) : "train/" + metric;
}

}  // namespace

std::string tensorboard_version(double unix_time) {
  return record(key(1, 1) + little_endian(unix_time) + bytes_field(3, "brain.Event:2"));
}

std::string tensorboard_scalars(double unix_time, std::int64_t step,
                                const std::map<std::string, double>& scalars) {
  std::string summary;
  for (const auto& [name, value] : scalars) {
    summary += bytes_field(1, bytes_field(1, name) + key(2, 5) + little_endian(static_cast<float>(value)));
  }
  return record(key(1, 1) + little_endian(unix_time) + key(2, 0) + varint(static_cast<std::uint64_t>(step)) +
                bytes_field(5, summary));
}

Hook tensorboard(Fs& fs, const std::string& folder) {
  return [&fs, folder, file = std::shared_ptr<File>()](StepEvent& event) mutable {
    std::map<std::string, double> scalars;
    for (const auto* figures : {&event.metrics, &event.times})
      for (const auto& [name, value] : *figures) scalars[tag(name)] = value;
    const std::string record = tensorboard_scalars(event.now, event.step, scalars);
    with_space(fs, folder, static_cast<std::int64_t>(record.size()), [&] {
      if (!file) {
        file = std::make_shared<File>(new_file(fs, folder, event.now));
        file->write(tensorboard_version(event.now));
      }
      file->write(record);
    });
  };
}

}  // namespace prefer
