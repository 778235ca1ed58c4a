// A file system whose N-th call fails, writes less than asked, or is the process's last.
#pragma once

#include "prefer/core/fs.hpp"

#include <cerrno>
#include <optional>
#include <string>
#include <vector>

namespace prefer::testing {

/// Thrown where a test kills the process: no prefer::Error, so that nothing under test handles it.
struct Killed {};

class FaultyFs : public Fs {
 public:
  enum class Fault {
    fail,         ///< the call fails with `error_number`; a write has then written half
    short_write,  ///< a write writes half (at least a byte); other calls are unharmed
    kill_before,  ///< Killed instead of the call, and of every later one
    kill_after    ///< Killed after the call, and instead of every later one
  };

  explicit FaultyFs(Fs& inner) : inner_(inner) {}
  /// Call number `call` (from 0) gets the fault.
  void inject(std::size_t call, Fault fault, int error_number = EIO) {
    at_ = call;
    fault_ = fault;
    error_number_ = error_number;
  }
  std::size_t calls() const { return calls_; }

 private:
  template <class Action>
  auto call(const char* action, Action&& body) {
    if (dead_) throw Killed();
    const bool hit = calls_++ == at_;
    if (hit && fault_ == Fault::fail) throw FsError("faulty", action, error_number_);
    dead_ = hit && (fault_ == Fault::kill_before || fault_ == Fault::kill_after);
    if (hit && fault_ == Fault::kill_before) throw Killed();
    auto result = body();
    if (dead_) throw Killed();
    return result;
  }

 public:
  Handle open(const std::string& path) override {
    return call("open", [&] { return inner_.open(path); });
  }
  Handle create(const std::string& path) override {
    return call("create", [&] { return inner_.create(path); });
  }
  Handle append(const std::string& path) override {
    return call("append", [&] { return inner_.append(path); });
  }
  std::size_t pread(Handle file, std::span<std::byte> bytes, std::uint64_t offset) override {
    return call("read", [&] { return inner_.pread(file, bytes, offset); });
  }
  std::size_t write(Handle file, std::span<const std::byte> bytes) override {
    const bool hit = calls_ == at_ && (fault_ == Fault::short_write || fault_ == Fault::fail);
    const auto half = bytes.subspan(0, (bytes.size() + 1) / 2);
    if (hit && fault_ == Fault::fail) inner_.write(file, half);
    return call("write", [&] { return inner_.write(file, hit ? half : bytes); });
  }
  std::uint64_t size(Handle file) override {
    return call("size", [&] { return inner_.size(file); });
  }
  void sync(Handle file) override {
    call("sync", [&] { return inner_.sync(file), 0; });
  }
  void close(Handle file) override {
    if (!dead_ && calls_ == at_ && fault_ == Fault::fail)
      inner_.close(file);  // a failed close gives it back too
    call("close", [&] { return inner_.close(file), 0; });
  }
  void rename(const std::string& from, const std::string& to) override {
    call("rename", [&] { return inner_.rename(from, to), 0; });
  }
  void make_directory(const std::string& path) override {
    call("make the directory", [&] { return inner_.make_directory(path), 0; });
  }
  void remove(const std::string& path) override {
    call("remove", [&] { return inner_.remove(path), 0; });
  }
  std::vector<std::string> list(const std::string& path) override {
    return call("list", [&] { return inner_.list(path); });
  }
  std::optional<FileStatus> status(const std::string& path) override {
    return call("look at", [&] { return inner_.status(path); });
  }
  void sync_directory(const std::string& path) override {
    call("sync the directory", [&] { return inner_.sync_directory(path), 0; });
  }
  std::uint64_t free_bytes(const std::string& path) override {
    return call("look at the disk", [&] { return inner_.free_bytes(path); });
  }

 private:
  Fs& inner_;
  std::size_t calls_ = 0;
  std::size_t at_ = static_cast<std::size_t>(-1);
  Fault fault_ = Fault::fail;
  int error_number_ = EIO;
  bool dead_ = false;
};

}  // namespace prefer::testing
