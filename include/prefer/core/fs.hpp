// The one door to files: whatever is read or written that must survive a crash goes through Fs, so that tests
// can make any call fail, cut any write short, and take the power away.
#pragma once

#include "prefer/core/error.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace prefer {

/// A failed call: "path: could not write: No space left on device".
class FsError : public Error {
 public:
  FsError(const std::string& path, const std::string& action, int error_number);
  FsError(const FsError& cause, const std::string& more);
  int error_number() const { return error_number_; }  ///< errno
  bool about_space() const;                           ///< the disk or a quota is full

 private:
  int error_number_;
};

enum class FileKind { regular, directory, other };
struct FileStatus {
  FileKind kind;
  std::uint64_t size;
};

/// The calls of a file system, each as small as the kernel's. All throw FsError; an interrupted call is tried
/// again.
class Fs {
 public:
  using Handle = int;
  virtual ~Fs() = default;

  /// Opens an existing regular file; a directory, pipe or device is refused.
  virtual Handle open(const std::string& path) = 0;
  /// Makes a new file; fails where anything of that name exists, links included.
  virtual Handle create(const std::string& path) = 0;
  /// Opens a regular file for appending, making it where it is missing.
  virtual Handle append(const std::string& path) = 0;
  /// Reads at most bytes.size() bytes; fewer is no error, 0 means the end.
  virtual std::size_t pread(Handle file, std::span<std::byte> bytes, std::uint64_t offset) = 0;
  /// Writes at least one byte of `bytes` (not empty) and returns how many.
  virtual std::size_t write(Handle file, std::span<const std::byte> bytes) = 0;
  virtual std::uint64_t size(Handle file) = 0;
  virtual void sync(Handle file) = 0;
  /// Gives the handle back, whether it throws or not.
  virtual void close(Handle file) = 0;

  /// Replaces `to` in one step where it is a file (or an empty directory and `from` is one).
  virtual void rename(const std::string& from, const std::string& to) = 0;
  /// Lets what two names stand for change places in one step. False, and nothing is changed, where the file
  /// system cannot.
  virtual bool exchange(const std::string& one, const std::string& other) = 0;
  virtual void make_directory(const std::string& path) = 0;
  /// Removes a file, a link (not what it points to) or an empty directory.
  virtual void remove(const std::string& path) = 0;
  /// The names in a directory, sorted.
  virtual std::vector<std::string> list(const std::string& path) = 0;
  /// What stands there (links are followed); nullopt when nothing does.
  virtual std::optional<FileStatus> status(const std::string& path) = 0;
  /// Makes the names in a directory survive a power loss.
  virtual void sync_directory(const std::string& path) = 0;
  virtual std::uint64_t free_bytes(const std::string& path) = 0;
  /// Keeps a directory to this process until the handle is closed or the process ends. Throws FsError with
  /// EWOULDBLOCK where another has it.
  virtual Handle lock_directory(const std::string& path) = 0;

  bool exists(const std::string& path) { return status(path).has_value(); }
};

/// Linux' own file system.
class PosixFs : public Fs {
 public:
  Handle open(const std::string& path) override;
  Handle create(const std::string& path) override;
  Handle append(const std::string& path) override;
  std::size_t pread(Handle file, std::span<std::byte> bytes, std::uint64_t offset) override;
  std::size_t write(Handle file, std::span<const std::byte> bytes) override;
  std::uint64_t size(Handle file) override;
  void sync(Handle file) override;
  void close(Handle file) override;
  void rename(const std::string& from, const std::string& to) override;
  bool exchange(const std::string& one, const std::string& other) override;
  void make_directory(const std::string& path) override;
  void remove(const std::string& path) override;
  std::vector<std::string> list(const std::string& path) override;
  std::optional<FileStatus> status(const std::string& path) override;
  void sync_directory(const std::string& path) override;
  std::uint64_t free_bytes(const std::string& path) override;
  Handle lock_directory(const std::string& path) override;

 private:
  std::string name(Handle file) const;
};

/// An open file of an Fs. The destructor closes and swallows errors: whoever writes calls close().
class File {
 public:
  static File open(Fs& fs, const std::string& path) { return File(fs, fs.open(path), path); }
  static File create(Fs& fs, const std::string& path) { return File(fs, fs.create(path), path); }
  static File append(Fs& fs, const std::string& path) { return File(fs, fs.append(path), path); }
  static File lock(Fs& fs, const std::string& path) { return File(fs, fs.lock_directory(path), path); }
  File(File&& other) noexcept;
  File& operator=(File&&) = delete;
  ~File();

  const std::string& path() const { return path_; }
  std::uint64_t size() const { return fs_->size(handle_); }
  /// Fills `bytes` from `offset`; throws where the file ends before.
  void read(std::span<std::byte> bytes, std::uint64_t offset) const;
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  void sync() { fs_->sync(handle_); }
  void close();

 private:
  File(Fs& fs, Fs::Handle handle, std::string path) : fs_(&fs), handle_(handle), path_(std::move(path)) {}

  Fs* fs_;
  Fs::Handle handle_;
  std::string path_;
};

/// The whole of a regular file of at most `max_bytes`.
std::string read_file(Fs& fs, const std::string& path, std::uint64_t max_bytes);

/// After it returns the file has the new bytes whatever happens; before, the old ones: writes `path`.tmp,
/// syncs it, renames it and syncs the directory. On failure the temporary file is removed.
void write_file_atomically(Fs& fs, const std::string& path, std::string_view bytes);

/// Runs `write`, which takes about `bytes` in `folder`: where it fails for want of space, the error also says
/// how much was wanted and how much is free.
void with_space(Fs& fs, const std::string& folder, std::int64_t bytes, const std::function<void()>& write);

/// The same for what is made at `temporary` and then renamed. Where it fails, what was made is removed first.
void make_or_remove(Fs& fs, const std::string& temporary, std::int64_t bytes,
                    const std::function<void()>& make);

/// "1.5 GB", "1.5 MB", "150 bytes".
std::string bytes_text(std::int64_t bytes);

/// Makes a directory and its missing parents; it may exist already.
void make_directories(Fs& fs, const std::string& path);

/// Removes a file or a directory with all that is in it, never following a link. Nothing there is no error.
void remove_all(Fs& fs, const std::string& path);

/// "a/b" of "a/b/c", "." of "c", "/" of "/c".
std::string parent_directory(const std::string& path);
/// `name` inside `directory`.
std::string join_path(const std::string& directory, const std::string& name);

}  // namespace prefer
