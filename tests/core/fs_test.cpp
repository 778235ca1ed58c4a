// The file system door: what each call promises, on the real disk.
#include "prefer/core/fs.hpp"

#include "prefer/core/random.hpp"
#include "support/error.hpp"
#include "support/faulty_fs.hpp"
#include "support/memory_fs.hpp"
#include "support/temp_dir.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

namespace prefer {
namespace {

using testing::error_of;
using testing::TempDir;

void put(Fs& fs, const std::string& path, std::string_view text) {
  File file = File::create(fs, path);
  file.write(text);
  file.close();
}

TEST(PosixFs, WritesAndReads) {
  PosixFs fs;
  const TempDir dir;
  put(fs, dir / "a", "hello world");
  const File file = File::open(fs, dir / "a");
  EXPECT_EQ(file.size(), 11u);
  std::string middle(5, ' ');
  file.read(std::as_writable_bytes(std::span(middle)), 6);
  EXPECT_EQ(middle, "world");
  EXPECT_EQ(error_of([&] { file.read(std::as_writable_bytes(std::span(middle)), 8); }),
            dir / "a" + ": ends at byte 11, 2 bytes too early");
  EXPECT_EQ(read_file(fs, dir / "a", 11), "hello world");
  EXPECT_EQ(error_of([&] { read_file(fs, dir / "a", 10); }),
            dir / "a" + ": 11 bytes, more than the 10 allowed");
  File more = File::append(fs, dir / "a");
  more.write("!");
  more.close();
  EXPECT_EQ(read_file(fs, dir / "a", 100), "hello world!");
}

TEST(PosixFs, ErrorsCarryPathAndReason) {
  PosixFs fs;
  const TempDir dir;
  EXPECT_EQ(error_of([&] { fs.open(dir / "no"); }),
            dir / "no" + ": could not open: No such file or directory");
  EXPECT_EQ(error_of([&] { fs.open(dir.string()); }), dir.string() + ": could not open: Is a directory");
  put(fs, dir / "a", "x");
  EXPECT_EQ(error_of([&] { fs.create(dir / "a"); }), dir / "a" + ": could not create: File exists");
  EXPECT_EQ(error_of([&] { fs.rename(dir / "no", dir / "b"); }),
            dir / "no" + ": could not rename to " + dir / "b" + ": No such file or directory");
  try {
    fs.list(dir / "a");
    FAIL();
  } catch (const FsError& error) {
    EXPECT_EQ(error.error_number(), ENOTDIR);
  }
}

TEST(PosixFs, OnlyRegularFilesAreRead) {
  PosixFs fs;
  const TempDir dir;
  ASSERT_EQ(mkfifo((dir / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(error_of([&] { fs.open(dir / "pipe"); }), dir / "pipe" + ": is not a regular file");
  EXPECT_EQ(error_of([&] { fs.open("/dev/zero"); }), "/dev/zero: is not a regular file");
}

TEST(PosixFs, NewFilesNeverGoThroughALink) {
  PosixFs fs;
  const TempDir dir;
  std::filesystem::create_symlink(dir / "target", dir / "link");
  EXPECT_NE(error_of([&] { fs.create(dir / "link"); }), "");
  EXPECT_FALSE(fs.exists(dir / "target"));
}

TEST(PosixFs, Directories) {
  PosixFs fs;
  const TempDir dir;
  make_directories(fs, dir / "a/b/c");
  make_directories(fs, dir / "a/b/c");
  put(fs, dir / "a/z", "1");
  put(fs, dir / "a/b/y", "22");
  EXPECT_EQ(fs.list(dir / "a"), (std::vector<std::string>{"b", "z"}));
  EXPECT_EQ(fs.status(dir / "a/b/y")->size, 2u);
  EXPECT_EQ(fs.status(dir / "a")->kind, FileKind::directory);
  EXPECT_EQ(fs.status("/dev/null")->kind, FileKind::other);
  EXPECT_FALSE(fs.status(dir / "a/z/impossible").has_value());
  fs.sync_directory(dir / "a");
  EXPECT_GT(fs.free_bytes(dir.string()), 0u);
  EXPECT_NE(error_of([&] { make_directories(fs, dir / "a/z"); }), "");
}

TEST(PosixFs, TwoFoldersChangePlaces) {
  PosixFs fs;
  const TempDir dir;
  make_directories(fs, dir / "a");
  make_directories(fs, dir / "b");
  put(fs, dir / "a/one", "1");
  put(fs, dir / "b/two", "2");
  if (!fs.exchange(dir / "a", dir / "b")) GTEST_SKIP() << "this file system knows no exchange";
  EXPECT_EQ(fs.list(dir / "a"), std::vector<std::string>{"two"});
  EXPECT_EQ(fs.list(dir / "b"), std::vector<std::string>{"one"});
  EXPECT_EQ(error_of([&] { fs.exchange(dir / "a", dir / "no"); }),
            dir / "a" + ": could not exchange with " + dir / "no" + ": No such file or directory");
}

TEST(PosixFs, ADirectoryIsLockedByOneHandleAtATime) {
  PosixFs fs;
  const TempDir dir;
  File lock = File::lock(fs, dir.string());
  EXPECT_EQ(error_of([&] { fs.lock_directory(dir.string()); }),
            dir.string() + ": could not lock: Resource temporarily unavailable");
  const pid_t child = fork();
  if (child == 0) _exit(error_of([&] { PosixFs().lock_directory(dir.string()); }).empty() ? 0 : 3);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 3);
  lock.close();
  File::lock(fs, dir.string());
}

TEST(Fs, RemoveAllDoesNotFollowLinks) {
  PosixFs fs;
  const TempDir dir;
  make_directories(fs, dir / "keep");
  put(fs, dir / "keep/file", "1");
  make_directories(fs, dir / "go/deep");
  put(fs, dir / "go/deep/file", "1");
  std::filesystem::create_directory_symlink(dir / "keep", dir / "go/link");
  remove_all(fs, dir / "go");
  remove_all(fs, dir / "go");
  EXPECT_FALSE(fs.exists(dir / "go"));
  EXPECT_TRUE(fs.exists(dir / "keep/file"));
}

TEST(Fs, AtomicWriteReplaces) {
  PosixFs fs;
  const TempDir dir;
  put(fs, dir / "a.tmp", "left by a killed run");
  write_file_atomically(fs, dir / "a", "one");
  write_file_atomically(fs, dir / "a", "two");
  EXPECT_EQ(read_file(fs, dir / "a", 100), "two");
  EXPECT_EQ(fs.list(dir.string()), std::vector<std::string>{"a"});
}

using testing::FaultyFs;
using testing::Killed;
using testing::MemoryFs;

constexpr auto kOld = "the old text";
const std::string kNew(3000, 'n');

/// Runs an atomic write on a disk that holds the old text, with the fault at the given call; returns the
/// error.
std::string faulty_write(MemoryFs& disk, std::size_t call, FaultyFs::Fault fault, int error_number = ENOSPC) {
  disk.put("a", kOld);
  FaultyFs fs(disk);
  fs.inject(call, fault, error_number);
  try {
    return error_of([&] { write_file_atomically(fs, "a", kNew); });
  } catch (const Killed&) {
    return "killed";
  }
}

std::size_t calls_of_a_write() {
  MemoryFs disk;
  disk.put("a", kOld);
  FaultyFs fs(disk);
  write_file_atomically(fs, "a", kNew);
  return fs.calls();
}

TEST(Fs, AtomicWriteSurvivesAFailureOfEachCall) {
  const std::size_t calls = calls_of_a_write();
  EXPECT_EQ(calls, 7u);  // remove what was left, create, write, sync, close, rename, sync the directory
  for (std::size_t call = 0; call < calls; ++call) {
    MemoryFs disk;
    const std::string error = faulty_write(disk, call, FaultyFs::Fault::fail);
    EXPECT_NE(error.find("No space left on device"), std::string::npos) << call;
    EXPECT_EQ(error.find("; 3000 bytes were wanted, and 1099.5 GB are free") != std::string::npos,
              call > 0 && call < calls - 1)
        << error;
    EXPECT_EQ(read_file(disk, "a", 10000), call == calls - 1 ? kNew : kOld) << call;
    EXPECT_EQ(disk.list("/"), std::vector<std::string>{"a"}) << call;
    EXPECT_EQ(disk.open_files(), 0u) << call;
  }
}

TEST(Fs, ShortWritesAreCompleted) {
  MemoryFs disk;
  EXPECT_EQ(faulty_write(disk, 2, FaultyFs::Fault::short_write), "");
  EXPECT_EQ(read_file(disk, "a", 10000), kNew);
}

TEST(Fs, AtomicWriteSurvivesAKillAndAPowerLossAtEachCall) {
  for (const auto fault : {FaultyFs::Fault::kill_before, FaultyFs::Fault::kill_after})
    for (std::size_t call = 0; call < calls_of_a_write(); ++call) {
      MemoryFs disk;
      EXPECT_EQ(faulty_write(disk, call, fault), "killed");
      const std::string seen = read_file(disk, "a", 10000);
      EXPECT_TRUE(seen == kOld || seen == kNew) << call;
      for (std::uint64_t seed = 0; seed < 50; ++seed) {
        std::uint64_t draws = 0;
        MemoryFs after = disk.after_power_loss([&] {
          return uniform({.seed = seed, .step = call, .position = draws++}) < static_cast<double>(seed) / 49;
        });
        const std::string found = read_file(after, "a", 10000);
        EXPECT_TRUE(found == kOld || found == kNew) << call << " " << seed;
        write_file_atomically(after, "a", "next");
        EXPECT_EQ(read_file(after, "a", 10000), "next");
      }
    }
}

TEST(Fs, WhatIsSyncedSurvivesAPowerLoss) {
  MemoryFs disk;
  disk.put("a", kOld);
  write_file_atomically(disk, "a", kNew);
  MemoryFs after = disk.after_power_loss([] { return false; });
  EXPECT_EQ(read_file(after, "a", 10000), kNew);
}

// The model has teeth: without the syncs the text is lost or torn.
TEST(MemoryFs, ForgetsWhatWasNotSynced) {
  MemoryFs disk;
  File file = File::create(disk, "b");
  file.write(kNew);
  file.close();
  EXPECT_FALSE(disk.after_power_loss([] { return false; }).exists("b"));
  disk.sync_directory("/");
  MemoryFs after = disk.after_power_loss([] { return false; });
  EXPECT_EQ(read_file(after, "b", 10000), "");
  int draws = 0;
  MemoryFs torn = disk.after_power_loss([&] { return draws++ % 2 == 0; });
  const std::string text = read_file(torn, "b", 10000);
  EXPECT_EQ(text.size(), kNew.size());
  EXPECT_NE(text, kNew);
  EXPECT_NE(text, std::string(kNew.size(), '\0'));
}

TEST(Fs, AFullDiskIsSaidToBeFullEvenWhereItCannotBeAsked) {
  MemoryFs disk;
  disk.free = 999;
  FaultyFs fs(disk);
  fs.inject(0, FaultyFs::Fault::full, EDQUOT);
  const auto write = [&] { with_space(fs, "/", 5'000'000, [&] { File::create(fs, "a"); }); };
  EXPECT_EQ(error_of(write),
            "a: could not create: Disk quota exceeded; 5.0 MB were wanted, and 999 bytes are free");
  fs.inject(fs.calls(), FaultyFs::Fault::fail);  // the question how much is free
  EXPECT_EQ(error_of([&] { with_space(fs, "/", 5, [] { throw FsError("a", "write", ENOSPC); }); }),
            "a: could not write: No space left on device; 5 bytes were wanted, and an unknown number of "
            "bytes are free");
}

TEST(Fs, Paths) {
  EXPECT_EQ(parent_directory("a/b/c"), "a/b");
  EXPECT_EQ(parent_directory("a/b//c/"), "a/b");
  EXPECT_EQ(parent_directory("c"), ".");
  EXPECT_EQ(parent_directory("/c"), "/");
  EXPECT_EQ(parent_directory("/"), "/");
  EXPECT_EQ(join_path("a", "b"), "a/b");
  EXPECT_EQ(join_path("/", "b"), "/b");
}

}  // namespace
}  // namespace prefer
