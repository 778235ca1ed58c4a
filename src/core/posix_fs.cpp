// Fs by Linux' system calls.
#include "prefer/core/fs.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>

namespace prefer {
namespace {

/// Calls again while a signal interrupts.
template <class Call>
auto uninterrupted(Call&& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

/// The same; a negative result becomes FsError.
template <class Call>
auto checked(const std::string& path, const char* action, Call&& call) {
  const auto result = uninterrupted(call);
  if (result < 0) throw FsError(path, action, errno);
  return result;
}

Fs::Handle open_regular(const std::string& path, int flags) {
  // Without O_NONBLOCK a pipe without a writer would block here for ever.
  const int file = checked(
      path, "open", [&] { return ::open(path.c_str(), flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644); });
  struct stat status;
  const int failed = ::fstat(file, &status) < 0 ? errno : 0;
  if (failed == 0 && S_ISREG(status.st_mode)) return file;
  ::close(file);
  if (failed != 0) throw FsError(path, "open", failed);
  if (S_ISDIR(status.st_mode)) throw FsError(path, "open", EISDIR);
  fail(path, ": is not a regular file");
}

int open_directory(const std::string& path) {
  return checked(path, "open", [&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
}

/// Negative with errno set where it failed; tried again only where a signal interrupted it, as after a failed
/// fsync the kernel may have dropped the pages.
int synced(int file) {
  return uninterrupted([&] { return ::fsync(file); });
}

}  // namespace

FsError::FsError(const std::string& path, const std::string& action, int error_number)
    : Error(path + ": could not " + action + ": " + std::generic_category().message(error_number)),
      error_number_(error_number) {}

FsError::FsError(const FsError& cause, const std::string& more)
    : Error(cause.what() + more), error_number_(cause.error_number_) {}

bool FsError::about_space() const { return error_number_ == ENOSPC || error_number_ == EDQUOT; }

std::string PosixFs::name(Handle file) const {
  char path[4096];
  const auto n = ::readlink(("/proc/self/fd/" + std::to_string(file)).c_str(), path, sizeof path);
  return n > 0 ? std::string(path, static_cast<std::size_t>(n)) : "file " + std::to_string(file);
}

Fs::Handle PosixFs::open(const std::string& path) { return open_regular(path, O_RDONLY); }

Fs::Handle PosixFs::create(const std::string& path) {
  return checked(path, "create",
                 [&] { return ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644); });
}

Fs::Handle PosixFs::append(const std::string& path) {
  return open_regular(path, O_WRONLY | O_CREAT | O_APPEND);
}

std::size_t PosixFs::pread(Handle file, std::span<std::byte> bytes, std::uint64_t offset) {
  const ssize_t n =
      uninterrupted([&] { return ::pread(file, bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
  if (n < 0) throw FsError(name(file), "read", errno);
  return static_cast<std::size_t>(n);
}

std::size_t PosixFs::write(Handle file, std::span<const std::byte> bytes) {
  const ssize_t n = uninterrupted([&] { return ::write(file, bytes.data(), bytes.size()); });
  if (n < 0) throw FsError(name(file), "write", errno);
  return static_cast<std::size_t>(n);
}

std::uint64_t PosixFs::size(Handle file) {
  struct stat status;
  if (::fstat(file, &status) < 0) throw FsError(name(file), "look at", errno);
  return static_cast<std::uint64_t>(status.st_size);
}

void PosixFs::sync(Handle file) {
  if (synced(file) < 0) throw FsError(name(file), "sync", errno);
}

void PosixFs::close(Handle file) {
  const std::string path = name(file);
  // Linux gives the descriptor back even when interrupted.
  if (::close(file) < 0 && errno != EINTR) throw FsError(path, "close", errno);
}

void PosixFs::rename(const std::string& from, const std::string& to) {
  checked(from, ("rename to " + to).c_str(), [&] { return ::rename(from.c_str(), to.c_str()); });
}

bool PosixFs::exchange(const std::string& one, const std::string& other) {
  const int result = uninterrupted(
      [&] { return ::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE); });
  if (result == 0) return true;
  if (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP) return false;  // NFS, old kernels
  throw FsError(one, "exchange with " + other, errno);
}

void PosixFs::make_directory(const std::string& path) {
  checked(path, "make the directory", [&] { return ::mkdir(path.c_str(), 0755); });
}

void PosixFs::remove(const std::string& path) {
  checked(path, "remove", [&] { return ::remove(path.c_str()); });
}

std::vector<std::string> PosixFs::list(const std::string& path) {
  DIR* directory = ::opendir(path.c_str());
  if (!directory) throw FsError(path, "list", errno);
  const std::unique_ptr<DIR, int (*)(DIR*)> closer(directory, ::closedir);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string_view entry_name = entry->d_name;
    if (entry_name != "." && entry_name != "..") names.emplace_back(entry_name);
  }
  if (errno != 0) throw FsError(path, "list", errno);
  std::sort(names.begin(), names.end());
  return names;
}

std::optional<FileStatus> PosixFs::status(const std::string& path) {
  struct stat found;
  if (::stat(path.c_str(), &found) < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    throw FsError(path, "look at", errno);
  }
  const FileKind kind = S_ISREG(found.st_mode)   ? FileKind::regular
                        : S_ISDIR(found.st_mode) ? FileKind::directory
                                                 : FileKind::other;
  return FileStatus{kind, static_cast<std::uint64_t>(found.st_size)};
}

void PosixFs::sync_directory(const std::string& path) {
  const int directory = open_directory(path);
  const int failed = synced(directory) < 0 ? errno : 0;
  ::close(directory);
  if (failed != 0) throw FsError(path, "sync", failed);
}

Fs::Handle PosixFs::lock_directory(const std::string& path) {
  const int directory = open_directory(path);
  if (uninterrupted([&] { return ::flock(directory, LOCK_EX | LOCK_NB); }) == 0) return directory;
  const int failed = errno;
  ::close(directory);
  throw FsError(path, "lock", failed);
}

std::uint64_t PosixFs::free_bytes(const std::string& path) {
  struct statvfs found;
  checked(path, "look at the disk of", [&] { return ::statvfs(path.c_str(), &found); });
  return static_cast<std::uint64_t>(found.f_bavail) * found.f_frsize;
}

}  // namespace prefer
