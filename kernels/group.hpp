// Groups of threads that share a row's work: the policy that lets one source run on the CPU and on the
// device.
//
// A group has rank(), size(), reduce(value, merge), which returns the merged value of all its threads to each
// of them, and after(value, none, merge), which returns to each the values of the threads of higher rank,
// merged in the order of ranks (`none`, which changes nothing, to the last). Every thread calls them alike.
// Merging is in a fixed order, so that equal inputs give equal bits.
#pragma once

#include "kernels/number.hpp"

namespace prefer::kernels {

/// A group of one.
struct OneThread {
  PREFER_HOST_DEVICE int rank() const { return 0; }
  PREFER_HOST_DEVICE int size() const { return 1; }
  template <class Value, class Merge>
  PREFER_HOST_DEVICE Value reduce(Value value, Merge) const {
    return value;
  }
  template <class Value, class Merge>
  PREFER_HOST_DEVICE Value after(Value, Value none, Merge) const {
    return none;
  }
};

struct Plus {
  template <class Value>
  PREFER_HOST_DEVICE Value operator()(Value a, Value b) const {
    return a + b;
  }
};

/// 16 bytes of a row, moved at once on the device.
template <class T>
struct alignas(16) Pack {
  static constexpr int kSize = 16 / static_cast<int>(sizeof(T));
  T at[kSize];
};

template <class T>
PREFER_HOST_DEVICE Pack<T> load_pack(const T* from) {
  return *reinterpret_cast<const Pack<T>*>(from);
}
template <class T>
PREFER_HOST_DEVICE void store_pack(T* to, const Pack<T>& pack) {
  *reinterpret_cast<Pack<T>*>(to) = pack;
}

/// Whether both begin at the same place within 16 bytes; a null pointer, which is not read, does with any.
template <class T>
PREFER_HOST_DEVICE bool alike(const T* a, const T* b) {
  return !a || !b || ((reinterpret_cast<std::uintptr_t>(a) ^ reinterpret_cast<std::uintptr_t>(b)) & 15) == 0;
}

/// Calls `one(i)` or, where `together` says that all that is moved is aligned as `aligned_as` is, `pack(i)`
/// for Pack<T>::kSize elements from i, so that [0, size) is covered once by the group, each element by the
/// same thread in equal calls.
template <class T, class Group, class One, class Many>
PREFER_HOST_DEVICE void for_packs(const T* aligned_as, bool together, std::int64_t size, const Group& group,
                                  One one, Many pack) {
  constexpr std::int64_t kSize = Pack<T>::kSize;
  const std::int64_t past = (reinterpret_cast<std::uintptr_t>(aligned_as) & 15) / sizeof(T);
  std::int64_t head = together ? (past == 0 ? 0 : kSize - past) : size;
  if (head > size) head = size;
  const std::int64_t packs = (size - head) / kSize;
  for (std::int64_t i = group.rank(); i < head; i += group.size()) one(i);
  for (std::int64_t i = group.rank(); i < packs; i += group.size()) pack(head + i * kSize);
  for (std::int64_t i = head + packs * kSize + group.rank(); i < size; i += group.size()) one(i);
}

}  // namespace prefer::kernels
