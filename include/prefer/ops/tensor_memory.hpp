// Where tensors lie on the CPU: large ones in one range of addresses, from which nothing is given back.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <utility>

namespace prefer {

/// Which parts of a range that begins at 0 are free. The smallest free part that is large enough is taken, of
/// equals the first; what comes back joins its free neighbours.
class FreeSpace {
 public:
  /// `unit`: sizes are rounded up to multiples of it. `limit`: where the range ends.
  explicit FreeSpace(int64_t unit, int64_t limit = std::numeric_limits<int64_t>::max())
      : unit_(unit), limit_(limit) {}

  /// The beginning of `size` > 0 bytes that nothing else has; -1, and nothing is taken, where there is no
  /// room.
  int64_t take(int64_t size);
  /// Gives back what `take` gave.
  void give(int64_t begin);
  /// One past the last byte that was ever taken.
  int64_t end() const { return end_; }
  int64_t taken() const { return taken_; }  ///< bytes, rounded

 private:
  void add_free(int64_t begin, int64_t size);
  void remove_free(int64_t begin, int64_t size);

  int64_t unit_;
  int64_t limit_;
  int64_t end_ = 0;
  int64_t taken_ = 0;
  std::map<int64_t, int64_t> used_;                // begin -> size
  std::map<int64_t, int64_t> free_;                // begin -> size, below end_
  std::set<std::pair<int64_t, int64_t>> by_size_;  // the same as (size, begin)
};

/// From now on LibTorch's CPU tensors of 64 KiB or more share a range of addresses of their own, in huge
/// pages where Linux has them. An allocator for all sizes spreads a step's large tensors between its small
/// ones, so that the process grows for many steps and each new page costs a fault; here a step fits where the
/// last one lay. Call it once, before tensors are made. Returns whether the range could be had: if not,
/// nothing changes.
bool keep_large_tensors_together();

}  // namespace prefer
