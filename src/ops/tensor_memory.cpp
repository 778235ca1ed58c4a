// The range of large tensors, and what is free in it.
#include "prefer/ops/tensor_memory.hpp"

#include "prefer/core/error.hpp"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

#include <sys/mman.h>
#include <unistd.h>

#include <mutex>
#include <tuple>

namespace prefer {
namespace {

constexpr int64_t kLeast = int64_t{64} << 10;  // smaller tensors stay with malloc
constexpr int64_t kUnit = 64;                  // a cache line, which is also what LibTorch aligns to
constexpr size_t kHugePage = size_t{2} << 20;

/// Addresses for all the memory there is; pages come when they are first written. Null where they are not to
/// be had.
char* reserve(size_t size) {
  void* range = mmap(nullptr, size + kHugePage, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (range == MAP_FAILED) return nullptr;
  const auto address = reinterpret_cast<uintptr_t>(range);
  char* begin = static_cast<char*>(range) + (kHugePage - address % kHugePage) % kHugePage;
  madvise(begin, size, MADV_HUGEPAGE);
  return begin;
}

class Range final : public c10::Allocator {
 public:
  Range(char* begin, int64_t size, c10::Allocator& small) : begin_(begin), size_(size), small_(small) {}

  c10::DataPtr allocate(size_t n) override {
    if (n < static_cast<size_t>(kLeast)) return small_.allocate(n);
    const std::lock_guard lock(mutex_);
    const int64_t at = n > static_cast<size_t>(size_) ? -1 : space_.take(static_cast<int64_t>(n));
    if (at < 0)
      fail("there is no memory for a tensor of ", n, " bytes: ", space_.taken(), " bytes are in use");
    return {begin_ + at, begin_ + at, &Range::release, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &Range::release; }
  void copy_data(void* to, const void* from, size_t count) const override {
    default_copy_data(to, from, count);
  }

  static Range* the_one;  // a deleter is a plain function

 private:
  static void release(void* data) {
    Range& range = *the_one;
    char* at = static_cast<char*>(data);
    if (at < range.begin_ || at >= range.begin_ + range.size_) return range.small_.raw_deleter()(data);
    const std::lock_guard lock(range.mutex_);
    range.space_.give(at - range.begin_);
  }

  char* begin_;
  int64_t size_;
  c10::Allocator& small_;
  std::mutex mutex_;
  FreeSpace space_{kUnit, size_};
};

Range* Range::the_one = nullptr;

}  // namespace

int64_t FreeSpace::take(int64_t size) {
  size = (size + unit_ - 1) / unit_ * unit_;
  int64_t begin = end_, found = 0;
  if (const auto fit = by_size_.lower_bound({size, 0}); fit != by_size_.end()) {
    std::tie(found, begin) = *fit;
  } else if (!free_.empty() && free_.rbegin()->first + free_.rbegin()->second == end_) {
    std::tie(begin, found) = *free_.rbegin();  // what is free at the end grows
  }
  if (size > limit_ - begin) return -1;
  if (found > 0) remove_free(begin, found);
  if (found > size) add_free(begin + size, found - size);
  end_ = std::max(end_, begin + size);
  used_[begin] = size;
  taken_ += size;
  return begin;
}

void FreeSpace::give(int64_t begin) {
  const auto at = used_.find(begin);
  if (at == used_.end()) fail("nothing was taken at ", begin);
  int64_t size = at->second;
  used_.erase(at);
  taken_ -= size;
  auto after = free_.lower_bound(begin);
  if (after != free_.end() && after->first == begin + size) {
    const auto [next, more] = *after;
    remove_free(next, more);
    size += more;
    after = free_.lower_bound(begin);
  }
  if (after != free_.begin()) {
    const auto [before, less] = *std::prev(after);
    if (before + less == begin) {
      remove_free(before, less);
      begin = before;
      size += less;
    }
  }
  add_free(begin, size);
}

void FreeSpace::add_free(int64_t begin, int64_t size) {
  free_.emplace(begin, size);
  by_size_.emplace(size, begin);
}

void FreeSpace::remove_free(int64_t begin, int64_t size) {
  free_.erase(begin);
  by_size_.erase({size, begin});
}

bool keep_large_tensors_together() {
  if (Range::the_one) return true;
  const int64_t size = int64_t{4} * sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
  char* begin = reserve(static_cast<size_t>(size));
  if (!begin) return false;
  Range::the_one = new Range(begin, size, *c10::GetCPUAllocator());  // outlives every tensor
  c10::SetCPUAllocator(Range::the_one, /*priority=*/1);
  return true;
}

}  // namespace prefer
