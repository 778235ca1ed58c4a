// Work in parts of unequal size, each taken by the thread that is free.
#pragma once

#include "prefer/tensor.hpp"

#include <atomic>

namespace prefer {

/// Calls part(0) .. part(count - 1), on all threads.
template <class Part>
void in_parallel(int64_t count, const Part& part) {
  std::atomic<int64_t> next{0};
  at::parallel_for(0, at::get_num_threads(), 1, [&](int64_t, int64_t) {
    for (int64_t i; (i = next++) < count;) part(i);
  });
}

}  // namespace prefer
