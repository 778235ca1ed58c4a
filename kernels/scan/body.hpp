// What the twins of scan share: the checks, and a sequence's work by a group of threads (CUDA, and its
// tests).
#pragma once

#include "kernels/check.hpp"
#include "kernels/group.hpp"
#include "kernels/scan/scan.hpp"

namespace prefer::kernels::scan {

template <class T>
void check(const Gae<T>& a) {
  require(a.sequences >= 0, "scan wants sequences >= 0", "sequences", a.sequences);
  require(a.sequences == 0 || (a.reward && a.value && a.begin && a.advantage && a.returns),
          "scan wants reward, value, begin, advantage and returns", "reward", a.reward, "value", a.value,
          "begin", a.begin, "advantage", a.advantage, "returns", a.returns);
  require(a.gamma >= 0 && a.gamma <= 1 && a.lambda >= 0 && a.lambda <= 1,
          "scan wants gamma and lambda in [0, 1]", "gamma", a.gamma, "lambda", a.lambda);
}

template <class T>
void check_begin(const Gae<T>& a) {
  for (std::int64_t s = 0; s < a.sequences; ++s)
    require(a.begin[s] >= 0 && a.begin[s] <= a.begin[s + 1],
            "scan wants boundaries that ascend from 0 or more", "begin", a.begin[s], "end", a.begin[s + 1],
            "of sequence", s);
}

/// What a stretch of tokens makes of the advantage that comes after it: x -> scale x + sum.
template <class T>
struct Carry {
  T scale = 1;
  T sum = 0;
};
struct Compose {
  template <class T>
  PREFER_HOST_DEVICE Carry<T> operator()(Carry<T> first, Carry<T> later) const {
    return {first.scale * later.scale, first.sum + first.scale * later.sum};
  }
};

template <class T, class Group>
PREFER_HOST_DEVICE void scan_sequence(const Gae<T>& a, std::int64_t sequence, const Group& group) {
  const T gamma = static_cast<T>(a.gamma), decay = static_cast<T>(a.gamma * a.lambda);
  const std::int64_t begin = a.begin[sequence], end = a.begin[sequence + 1];
  T later = 0;  // the advantage after the tile
  for (std::int64_t tile_end = end; tile_end > begin; tile_end -= group.size()) {
    const std::int64_t t = tile_end - group.size() + group.rank();
    const bool inside = t >= begin;
    const T value = inside ? a.value[t] : 0, next = inside && t + 1 < end ? a.value[t + 1] : 0;
    const T delta = inside ? a.reward[t] + gamma * next - value : 0;
    const Carry<T> after = group.after(Carry<T>{decay, delta}, Carry<T>{}, Compose{});
    const T advantage = delta + decay * (after.sum + after.scale * later);
    if (inside) a.advantage[t] = advantage, a.returns[t] = advantage + value;
    later = group.reduce(group.rank() == 0 ? advantage : T{0}, Plus{});
  }
}

}  // namespace prefer::kernels::scan
