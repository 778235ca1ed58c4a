// What is built on the calls of an Fs: whole reads and writes, atomic replacement, trees.
#include "prefer/core/fs.hpp"

#include <cerrno>
#include <cstdio>
#include <utility>

namespace prefer {

File::File(File&& other) noexcept
    : fs_(std::exchange(other.fs_, nullptr)), handle_(other.handle_), path_(std::move(other.path_)) {}

File::~File() {
  if (!fs_) return;
  try {
    fs_->close(handle_);
  } catch (...) {
  }
}

void File::read(std::span<std::byte> bytes, std::uint64_t offset) const {
  while (!bytes.empty()) {
    const std::size_t n = fs_->pread(handle_, bytes, offset);
    if (n == 0) fail(path_, ": ends at byte ", offset, ", ", bytes.size(), " bytes too early");
    bytes = bytes.subspan(n);
    offset += n;
  }
}

void File::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) bytes = bytes.subspan(fs_->write(handle_, bytes));
}

void File::close() { std::exchange(fs_, nullptr)->close(handle_); }

std::string read_file(Fs& fs, const std::string& path, std::uint64_t max_bytes) {
  const File file = File::open(fs, path);
  const std::uint64_t size = file.size();
  if (size > max_bytes) fail(path, ": ", size, " bytes, more than the ", max_bytes, " allowed");
  std::string text(size, '\0');
  file.read(std::as_writable_bytes(std::span(text)), 0);
  return text;
}

void write_file_atomically(Fs& fs, const std::string& path, std::string_view bytes) {
  const std::string temporary = path + ".tmp";
  remove_all(fs, temporary);  // left by a run that was killed
  make_or_remove(fs, temporary, static_cast<std::int64_t>(bytes.size()), [&] {
    File file = File::create(fs, temporary);
    file.write(bytes);
    file.sync();
    file.close();
    fs.rename(temporary, path);
  });
  fs.sync_directory(parent_directory(path));
}

void with_space(Fs& fs, const std::string& folder, std::int64_t bytes, const std::function<void()>& write) {
  try {
    write();
  } catch (const FsError& error) {
    if (!error.about_space()) throw;
    std::string free = "an unknown number of bytes";
    try {
      free = bytes_text(static_cast<std::int64_t>(fs.free_bytes(folder)));
    } catch (const Error&) {  // the first failure is the one to tell
    }
    throw FsError(error, "; " + bytes_text(bytes) + " were wanted, and " + free + " are free");
  }
}

void make_or_remove(Fs& fs, const std::string& temporary, std::int64_t bytes,
                    const std::function<void()>& make) {
  with_space(fs, parent_directory(temporary), bytes, [&] {
    try {
      make();
    } catch (const Error&) {
      try {
        remove_all(fs, temporary);
      } catch (const Error&) {  // the first failure is the one to tell
      }
      throw;
    }
  });
}

std::string bytes_text(std::int64_t bytes) {
  if (bytes < 1'000'000) return std::to_string(bytes) + " bytes";
  char text[32];
  const bool small = bytes < 100'000'000;
  std::snprintf(text, sizeof text, small ? "%.1f MB" : "%.1f GB",
                static_cast<double>(bytes) / (small ? 1e6 : 1e9));
  return text;
}

void make_directories(Fs& fs, const std::string& path) {
  if (const auto found = fs.status(path)) {
    if (found->kind != FileKind::directory) throw FsError(path, "make the directory", EEXIST);
    return;
  }
  const std::string parent = parent_directory(path);
  if (parent != path) make_directories(fs, parent);
  try {
    fs.make_directory(path);
  } catch (const FsError& error) {
    if (error.error_number() != EEXIST) throw;  // another process was faster
  }
}

void remove_all(Fs& fs, const std::string& path) {
  try {
    fs.remove(path);
    return;
  } catch (const FsError& error) {
    if (error.error_number() == ENOENT) return;
    if (error.error_number() != ENOTEMPTY && error.error_number() != EEXIST) throw;
  }
  for (const std::string& name : fs.list(path)) remove_all(fs, join_path(path, name));
  fs.remove(path);
}

std::string parent_directory(const std::string& path) {
  const std::size_t last = path.find_last_not_of('/');
  if (last == std::string::npos) return path.empty() ? "." : "/";
  const std::size_t slash = path.find_last_of('/', last);
  if (slash == std::string::npos) return ".";
  const std::size_t end = path.find_last_not_of('/', slash);
  return end == std::string::npos ? "/" : path.substr(0, end + 1);
}

std::string join_path(const std::string& directory, const std::string& name) {
  if (directory.empty()) return name;
  return directory.back() == '/' ? directory + name : directory + "/" + name;
}

}  // namespace prefer
