// How much memory a piece of work takes while it runs, by the system's own high-water mark.
#pragma once

#include <malloc.h>

#include <cstdint>
#include <fstream>
#include <string>

namespace prefer::testing {

/// A line of /proc/self/status (VmRSS, VmHWM) in bytes; -1 where there is none.
inline std::int64_t status_bytes(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name + ":")) return 1024 * std::stoll(line.substr(name.size() + 1));
  }
  return -1;
}

/// The most bytes resident while `work` ran beyond those resident before it; -1 where the kernel does not let
/// the mark be reset. What the allocator had kept of freed memory is given back first, so that none of it
/// hides.
template <class Work>
std::int64_t peak_beyond(Work work) {
  malloc_trim(0);
  std::ofstream reset("/proc/self/clear_refs");
  if (!(reset << "5" << std::flush)) return -1;
  const std::int64_t before = status_bytes("VmRSS");
  work();
  return status_bytes("VmHWM") - before;
}

}  // namespace prefer::testing
