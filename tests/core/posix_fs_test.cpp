// What PosixFs makes of calls that the kernel interrupts, cuts short or refuses. The linker puts these
// functions between it and libc (tests/CMakeLists.txt).
#include "prefer/core/fs.hpp"
#include "support/error.hpp"
#include "support/temp_dir.hpp"

#include <gtest/gtest.h>
#include <sys/types.h>

#include <cerrno>
#include <cstdarg>

namespace {

/// The next `times` calls of `function` fail with `error`; 0: writes are cut to one byte.
struct Kernel {
  std::string function;
  int times = 0, error = 0, calls = 0;

  bool hits(const char* called) {
    if (function != called) return false;
    ++calls;
    if (times == 0) return false;
    --times;
    errno = error;
    return true;
  }
} kernel;

}  // namespace

extern "C" {
int __real_open(const char* path, int flags, ...);
ssize_t __real_write(int file, const void* bytes, size_t size);
ssize_t __real_pread(int file, void* bytes, size_t size, off_t offset);
int __real_fsync(int file);
int __real_close(int file);
int __real_rename(const char* from, const char* to);
int __real_renameat2(int from_at, const char* from, int to_at, const char* to, unsigned flags);
int __real_mkdir(const char* path, mode_t mode);
int __real_remove(const char* path);

int __wrap_open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = va_arg(more, mode_t);
  va_end(more);
  return kernel.hits("open") ? -1 : __real_open(path, flags, mode);
}
ssize_t __wrap_write(int file, const void* bytes, size_t size) {
  if (!kernel.hits("write")) return __real_write(file, bytes, size);
  return kernel.error == 0 ? __real_write(file, bytes, 1) : -1;
}
ssize_t __wrap_pread(int file, void* bytes, size_t size, off_t offset) {
  if (!kernel.hits("pread")) return __real_pread(file, bytes, size, offset);
  return kernel.error == 0 ? __real_pread(file, bytes, 1, offset) : -1;
}
int __wrap_fsync(int file) { return kernel.hits("fsync") ? -1 : __real_fsync(file); }
int __wrap_close(int file) {
  const int result = __real_close(file);
  return kernel.hits("close") ? -1 : result;
}
int __wrap_rename(const char* from, const char* to) {
  return kernel.hits("rename") ? -1 : __real_rename(from, to);
}
int __wrap_renameat2(int from_at, const char* from, int to_at, const char* to, unsigned flags) {
  return kernel.hits("renameat2") ? -1 : __real_renameat2(from_at, from, to_at, to, flags);
}
int __wrap_mkdir(const char* path, mode_t mode) {
  return kernel.hits("mkdir") ? -1 : __real_mkdir(path, mode);
}
int __wrap_remove(const char* path) { return kernel.hits("remove") ? -1 : __real_remove(path); }
}

namespace prefer::testing {
namespace {

const std::string kText = "a text of some bytes";

/// Writes a/text anew, reads it and removes it, so that every function above is called.
std::string all_calls(const TempDir& dir) {
  PosixFs fs;
  std::string read;
  const std::string error = error_of([&] {
    remove_all(fs, dir / "a");
    make_directories(fs, dir / "a");
    write_file_atomically(fs, dir / "a/text", kText);
    read = read_file(fs, dir / "a/text", 100);
    remove_all(fs, dir / "a/text");
  });
  EXPECT_TRUE(!error.empty() || read == kText) << read;
  return error;
}

const char* const kFunctions[] = {"open", "write", "pread", "fsync", "close", "rename", "mkdir", "remove"};

class Interposed : public ::testing::Test {
 protected:
  ~Interposed() override { kernel = {}; }
  const TempDir dir_;
};

TEST_F(Interposed, InterruptedCallsAreMadeAgain) {
  for (const char* function : kFunctions) {
    kernel = {.function = function, .times = 3, .error = EINTR};
    EXPECT_EQ(all_calls(dir_), "") << function;
    EXPECT_EQ(kernel.times, 0) << function;
    EXPECT_GE(kernel.calls, 3) << function;
  }
}

TEST_F(Interposed, ShortReadsAndWritesAreCompleted) {
  for (const char* function : {"write", "pread"}) {
    kernel = {.function = function, .times = 7, .error = 0};
    EXPECT_EQ(all_calls(dir_), "") << function;
    EXPECT_EQ(kernel.times, 0) << function;
  }
}

TEST_F(Interposed, AFailureIsNamedWithItsFile) {
  for (const char* function : kFunctions) {
    for (const int error : {EIO, ENOSPC, EDQUOT}) {
      kernel = {.function = function, .times = 1, .error = error};
      const std::string said = all_calls(dir_);
      EXPECT_TRUE(said.starts_with(dir_ / "a")) << function << ": " << said;
      EXPECT_NE(said.find(": " + std::generic_category().message(error)), std::string::npos)
          << function << ": " << said;
      kernel = {};
      EXPECT_EQ(all_calls(dir_), "") << function;
    }
  }
}

TEST_F(Interposed, AnExchangeIsMadeAgainOrKnownToBeUnknownOrFails) {
  PosixFs fs;
  make_directories(fs, dir_ / "one");
  make_directories(fs, dir_ / "other");
  const auto exchanged = [&](int error) {
    kernel = {.function = "renameat2", .times = 1, .error = error};
    return fs.exchange(dir_ / "one", dir_ / "other");
  };
  for (const int unknown : {EINVAL, ENOSYS, EOPNOTSUPP}) EXPECT_FALSE(exchanged(unknown)) << unknown;
  EXPECT_EQ(error_of([&] { exchanged(EIO); }),
            dir_ / "one" + ": could not exchange with " + dir_ / "other" + ": Input/output error");
  const bool known = exchanged(EINTR);  // a file system may know none
  EXPECT_EQ(kernel.calls, 2) << known;
}

TEST_F(Interposed, AFailedSyncIsNotTriedAgain) {
  kernel = {.function = "fsync", .times = 1, .error = EIO};
  EXPECT_NE(all_calls(dir_), "");
  EXPECT_EQ(kernel.calls, 1);
}

}  // namespace
}  // namespace prefer::testing
