// A file system whose N-th call fails, writes less than asked, or is the process's last.
#pragma once

#include "prefer/core/fs.hpp"

#include <cerrno>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace prefer::testing {

/// Thrown where a test kills the process: no prefer::Error, so that nothing under test handles it.
struct Killed {};

class FaultyFs : public Fs {
 public:
  enum class Fault {
    fail,  ///< the call fails with `error_number`; a write has then written half
    full,  ///< from this call on, whatever takes space fails with `error_number`; a write has then written
           ///< half
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
  /// What the faulty call was: "write out/metrics.jsonl"; "" before it.
  const std::string& hit() const { return hit_; }
  /// Called after each call that changed something, unless it failed.
  std::function<void()> changed = [] {};

 private:
  enum class Kind { reads, changes, takes_space };

  bool fails(Kind kind) const {
    if (fault_ == Fault::full) return calls_ >= at_ && kind == Kind::takes_space;
    return fault_ == Fault::fail && calls_ == at_;
  }
  template <class Action>
  auto call(const char* action, const std::string& path, Kind kind, Action&& body) {
    if (dead_) throw Killed();
    const bool failing = fails(kind), hit = calls_ == at_ && fault_ != Fault::full;
    if (hit_.empty() && (failing || hit)) hit_ = std::string(action) + " " + path;
    ++calls_;
    if (failing) throw FsError(path, action, error_number_);
    dead_ = hit && (fault_ == Fault::kill_before || fault_ == Fault::kill_after);
    if (hit && fault_ == Fault::kill_before) throw Killed();
    auto result = body();
    if (kind != Kind::reads) changed();
    if (dead_) throw Killed();
    return result;
  }
  Handle named(Handle file, const std::string& path) {
    names_[file] = path;
    return file;
  }

 public:
  Handle open(const std::string& path) override {
    return call("open", path, Kind::reads, [&] { return named(inner_.open(path), path); });
  }
  Handle create(const std::string& path) override {
    return call("create", path, Kind::takes_space, [&] { return named(inner_.create(path), path); });
  }
  Handle append(const std::string& path) override {
    return call("open", path, Kind::takes_space, [&] { return named(inner_.append(path), path); });
  }
  std::size_t pread(Handle file, std::span<std::byte> bytes, std::uint64_t offset) override {
    return call("read", names_[file], Kind::reads, [&] { return inner_.pread(file, bytes, offset); });
  }
  std::size_t write(Handle file, std::span<const std::byte> bytes) override {
    const auto half = bytes.subspan(0, (bytes.size() + 1) / 2);
    if (!dead_ && fails(Kind::takes_space)) inner_.write(file, half);
    const bool is_short = calls_ == at_ && fault_ == Fault::short_write;
    return call("write", names_[file], Kind::takes_space,
                [&] { return inner_.write(file, is_short ? half : bytes); });
  }
  std::uint64_t size(Handle file) override {
    return call("look at", names_[file], Kind::reads, [&] { return inner_.size(file); });
  }
  void sync(Handle file) override {
    call("sync", names_[file], Kind::changes, [&] { return inner_.sync(file), 0; });
  }
  void close(Handle file) override {
    if (!dead_ && fails(Kind::reads)) inner_.close(file);  // a failed close gives it back too
    call("close", names_[file], Kind::reads, [&] { return inner_.close(file), 0; });
  }
  void rename(const std::string& from, const std::string& to) override {
    call("rename", from, Kind::changes, [&] { return inner_.rename(from, to), 0; });
  }
  bool exchange(const std::string& one, const std::string& other) override {
    return call("exchange", one, Kind::changes, [&] { return inner_.exchange(one, other); });
  }
  void make_directory(const std::string& path) override {
    call("make the directory", path, Kind::takes_space, [&] { return inner_.make_directory(path), 0; });
  }
  void remove(const std::string& path) override {
    call("remove", path, Kind::changes, [&] { return inner_.remove(path), 0; });
  }
  std::vector<std::string> list(const std::string& path) override {
    return call("list", path, Kind::reads, [&] { return inner_.list(path); });
  }
  std::optional<FileStatus> status(const std::string& path) override {
    return call("look at", path, Kind::reads, [&] { return inner_.status(path); });
  }
  void sync_directory(const std::string& path) override {
    call("sync", path, Kind::changes, [&] { return inner_.sync_directory(path), 0; });
  }
  std::uint64_t free_bytes(const std::string& path) override {
    return call("look at the disk of", path, Kind::reads, [&] { return inner_.free_bytes(path); });
  }
  Handle lock_directory(const std::string& path) override {
    return call("lock", path, Kind::reads, [&] { return named(inner_.lock_directory(path), path); });
  }

 private:
  Fs& inner_;
  std::map<Handle, std::string> names_;
  std::string hit_;
  std::size_t calls_ = 0;
  std::size_t at_ = static_cast<std::size_t>(-1);
  Fault fault_ = Fault::fail;
  int error_number_ = EIO;
  bool dead_ = false;
};

}  // namespace prefer::testing
