// A file system in memory that knows what has been synced, so that a test can take the power away.
#pragma once

#include "prefer/core/fs.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace prefer::testing {

/// Paths start at one root, with or without a leading slash. Links and permissions do not exist.
class MemoryFs : public Fs {
 public:
  MemoryFs() : nodes_(1, Node{FileKind::directory}) {}

  /// What a machine finds after losing power now: for everything not synced (a name made, moved or removed; a
  /// length; a page of 512 bytes) `kept` says whether it made it to the disk.
  MemoryFs after_power_loss(const std::function<bool()>& kept) const {
    MemoryFs after;
    after.nodes_ = nodes_;
    after.free = free;
    after.exchanges = exchanges;
    for (Node& node : after.nodes_) {
      if (node.kind == FileKind::directory)
        node.names = surviving_names(node, kept);
      else
        node.bytes = surviving_bytes(node, kept);
      node.durable_names = node.names;
      node.durable = node.bytes;
      node.exchanged.clear();
    }
    return after;
  }

  /// Puts a file in place, synced.
  void put(const std::string& path, const std::string& bytes) {
    if (find(path) < 0) {
      const int node = add(FileKind::regular);
      parent(path, "create").names[leaf(path)] = node;
    }
    Node& node = nodes_[static_cast<std::size_t>(find(path))];
    node.bytes = node.durable = bytes;
    parent(path, "create").durable_names = parent(path, "create").names;
  }

  Handle open(const std::string& path) override { return handle(regular(path, "open"), path); }
  Handle create(const std::string& path) override {
    if (find(path) >= 0) throw FsError(path, "create", EEXIST);
    const int node = add(FileKind::regular);
    parent(path, "create").names[leaf(path)] = node;
    return handle(node, path);
  }
  Handle append(const std::string& path) override { return find(path) < 0 ? create(path) : open(path); }
  std::size_t pread(Handle file, std::span<std::byte> bytes, std::uint64_t offset) override {
    const std::string& from = node(file).bytes;
    if (offset >= from.size()) return 0;
    const std::size_t n = std::min(bytes.size(), from.size() - offset);
    std::memcpy(bytes.data(), from.data() + offset, n);
    return n;
  }
  std::size_t write(Handle file, std::span<const std::byte> bytes) override {
    node(file).bytes.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return bytes.size();
  }
  std::uint64_t size(Handle file) override { return node(file).bytes.size(); }
  void sync(Handle file) override { node(file).durable = node(file).bytes; }
  void close(Handle file) override {
    locked_.erase(file);
    if (open_.erase(file) == 0) throw FsError("file", "close", EBADF);
  }

  void rename(const std::string& from, const std::string& to) override {
    const int moved = find(from), target = find(to);
    if (moved < 0) throw FsError(from, "rename", ENOENT);
    if (target >= 0) {
      const Node& old = nodes_[static_cast<std::size_t>(target)];
      if (old.kind != nodes_[static_cast<std::size_t>(moved)].kind) throw FsError(from, "rename", EISDIR);
      if (!old.names.empty()) throw FsError(from, "rename", ENOTEMPTY);
    }
    parent(to, "rename").names[leaf(to)] = moved;
    parent(from, "rename").names.erase(leaf(from));
  }
  bool exchange(const std::string& one, const std::string& other) override {
    if (!exchanges) return false;
    if (find(one) < 0 || find(other) < 0) throw FsError(one, "exchange with " + other, ENOENT);
    Node& folder = parent(one, "exchange");
    if (&folder != &parent(other, "exchange")) throw FsError(one, "exchange with " + other, EXDEV);
    std::swap(folder.names.at(leaf(one)), folder.names.at(leaf(other)));
    folder.exchanged.emplace_back(leaf(one), leaf(other));
    return true;
  }
  void make_directory(const std::string& path) override {
    if (find(path) >= 0) throw FsError(path, "make the directory", EEXIST);
    const int node = add(FileKind::directory);
    parent(path, "make the directory").names[leaf(path)] = node;
  }
  void remove(const std::string& path) override {
    const int found = find(path);
    if (found < 0) throw FsError(path, "remove", ENOENT);
    if (!nodes_[static_cast<std::size_t>(found)].names.empty()) throw FsError(path, "remove", ENOTEMPTY);
    parent(path, "remove").names.erase(leaf(path));
  }
  std::vector<std::string> list(const std::string& path) override {
    std::vector<std::string> names;
    for (const auto& [name, node] : directory(path, "list").names) names.push_back(name);
    return names;
  }
  std::optional<FileStatus> status(const std::string& path) override {
    const int found = find(path);
    if (found < 0) return std::nullopt;
    const Node& node = nodes_[static_cast<std::size_t>(found)];
    return FileStatus{node.kind, node.bytes.size()};
  }
  void sync_directory(const std::string& path) override {
    Node& node = directory(path, "sync");
    node.durable_names = node.names;
    node.exchanged.clear();
  }
  std::uint64_t free_bytes(const std::string&) override { return free; }

  Handle lock_directory(const std::string& path) override {
    directory(path, "lock");
    for (const Handle other : locked_)
      if (open_.at(other) == find(path)) throw FsError(path, "lock", EWOULDBLOCK);
    open_[next_] = find(path);
    locked_.insert(next_);
    return next_++;
  }

  /// What the kernel does where a process was killed: its files are closed and its locks are free.
  void end_process() {
    open_.clear();
    locked_.clear();
  }

  std::uint64_t free = std::uint64_t{1} << 40;  ///< what free_bytes() answers; writes do not mind
  bool exchanges = true;                        ///< whether this file system knows exchange()
  std::size_t open_files() const { return open_.size(); }

 private:
  using Names = std::map<std::string, int>;
  struct Node {
    FileKind kind;
    std::string bytes = {}, durable = {};
    Names names = {}, durable_names = {};
    std::vector<std::pair<std::string, std::string>> exchanged = {};  // and not synced
  };

  static Names surviving_names(const Node& node, const std::function<bool()>& kept) {
    Names names = node.durable_names;
    for (const auto& [name, target] : node.names)
      if (!names.contains(name) || names[name] != target)
        if (kept()) names[name] = target;
    for (const auto& [name, target] : node.durable_names)
      if (!node.names.contains(name) && kept()) names.erase(name);
    for (const auto& [one, other] : node.exchanged) {  // both made it to the disk, or neither
      const Names& from = kept() ? node.names : node.durable_names;
      for (const std::string& name : {one, other}) {
        names.erase(name);
        if (from.contains(name)) names[name] = from.at(name);
      }
    }
    return names;
  }

  static std::string surviving_bytes(const Node& node, const std::function<bool()>& kept) {
    constexpr std::size_t kPage = 512;
    if (node.bytes == node.durable) return node.bytes;
    std::string bytes = node.durable;
    bytes.resize(kept() ? node.bytes.size() : node.durable.size(), '\0');
    for (std::size_t at = 0; at < std::min(bytes.size(), node.bytes.size()); at += kPage)
      if (kept()) {
        const std::size_t n = std::min({kPage, bytes.size() - at, node.bytes.size() - at});
        bytes.replace(at, n, node.bytes, at, n);
      }
    return bytes;
  }

  static std::vector<std::string> parts(const std::string& path) {
    std::vector<std::string> result;
    for (std::size_t begin = 0; begin < path.size();) {
      const std::size_t end = std::min(path.find('/', begin), path.size());
      if (end > begin && path.substr(begin, end - begin) != ".")
        result.push_back(path.substr(begin, end - begin));
      begin = end + 1;
    }
    return result;
  }
  static std::string leaf(const std::string& path) { return parts(path).empty() ? "" : parts(path).back(); }

  int find(const std::string& path) const {
    int at = 0;
    for (const std::string& part : parts(path)) {
      const Names& names = nodes_[static_cast<std::size_t>(at)].names;
      const auto found = names.find(part);
      if (found == names.end()) return -1;
      at = found->second;
    }
    return at;
  }
  int add(FileKind kind) {
    nodes_.push_back({kind});
    return static_cast<int>(nodes_.size()) - 1;
  }
  Node& directory(const std::string& path, const char* action) {
    const int found = find(path);
    if (found < 0) throw FsError(path, action, ENOENT);
    Node& node = nodes_[static_cast<std::size_t>(found)];
    if (node.kind != FileKind::directory) throw FsError(path, action, ENOTDIR);
    return node;
  }
  Node& parent(const std::string& path, const char* action) {
    return directory(parent_directory(path), action);
  }
  int regular(const std::string& path, const char* action) const {
    const int found = find(path);
    if (found < 0) throw FsError(path, action, ENOENT);
    if (nodes_[static_cast<std::size_t>(found)].kind != FileKind::regular)
      throw FsError(path, action, EISDIR);
    return found;
  }
  Handle handle(int node, const std::string& path) {
    if (nodes_[static_cast<std::size_t>(node)].kind != FileKind::regular) throw FsError(path, "open", EISDIR);
    open_[next_] = node;
    return next_++;
  }
  Node& node(Handle file) {
    const auto found = open_.find(file);
    if (found == open_.end()) throw FsError("file", "use", EBADF);
    return nodes_[static_cast<std::size_t>(found->second)];
  }

  std::vector<Node> nodes_;  // 0 is the root
  std::map<Handle, int> open_;
  std::set<Handle> locked_;
  Handle next_ = 3;
};

}  // namespace prefer::testing
