// What the twins of scale share: the checks, and a row's work by a group of threads (CUDA, and its tests).
#pragma once

#include "kernels/check.hpp"
#include "kernels/group.hpp"
#include "kernels/scale/scale.hpp"

namespace prefer::kernels::scale {

template <class T>
void check(const Forward<T>& a) {
  require(a.rows >= 0 && a.width >= 1, "scale wants rows >= 0 and width >= 1", "rows", a.rows, "width",
          a.width);
  require(a.x_stride >= a.width, "scale wants x_stride of at least width", "x_stride", a.x_stride, "width",
          a.width);
  require(a.rows == 0 || (a.x && a.y), "scale wants x and y", "x", a.x, "y", a.y);
  require(a.x != a.y || a.x_stride == a.width, "scale in place wants a contiguous x", "x_stride", a.x_stride,
          "width", a.width);
}

/// The test runs this with OneThread and ThreadGroup, the device with Block. Where threads need one another's
/// numbers: group.reduce(mine, Plus{}).
template <class T, class Group>
PREFER_HOST_DEVICE void forward_row(const Forward<T>& a, std::int64_t row, const Group& group) {
  for (std::int64_t i = group.rank(); i < a.width; i += group.size()) {
    a.y[row * a.width + i] = narrow<T>(a.factor * widen(a.x[row * a.x_stride + i]));
  }
}

}  // namespace prefer::kernels::scale
