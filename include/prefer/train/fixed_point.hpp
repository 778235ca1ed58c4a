// Gradients as whole multiples of a power of two: sums of them do not depend on who adds what, and when.
#pragma once

#include "prefer/tensor.hpp"

#include <vector>

namespace prefer {

class Team;

/// Makes gradients int64: g becomes the whole number nearest to g * scale, ties to even. The scale is the
/// power of two that maps the largest |g| of a slot in the step before to [2^40, 2^41); so what it drops of
/// a gradient is at most 2^-41 of that. Sums hold while no slot's |g| reaches min(2^60, 2^62 / slots) of
/// these units; otherwise, and where there is no step before, the step's slots are added once more, at the
/// scale that this step asks for.
class FixedPoint {
 public:
  explicit FixedPoint(std::size_t parameters);

  /// Begins a step of so many slots.
  void begin(int64_t slots);
  /// Adds a slot's gradient of a parameter to its `sum`, int64 of the same shape; `first`: the sum is zero,
  /// whatever it holds.
  void add(Tensor sum, const Tensor& gradient, std::size_t parameter, bool first);
  /// Whether the sums of all ranks hold; otherwise the next pass is at another scale. Collective.
  [[nodiscard]] bool hold(Team& team);
  /// What a sum stands for, into `result`: not a number where any rank's gradient was not finite.
  void read(Tensor result, const Tensor& sum, std::size_t parameter) const;
  /// The step has changed the weights: its largest |g| makes the scale of the next.
  void passed();

  /// `largest`: |g| of a slot in the last step that passed; 0 before the first.
  NamedTensors state() const;
  void restore(const NamedTensors& state);

 private:
  struct OnDevice {
    std::size_t parameter;
    Tensor measured;  // [2] the largest finite |g|, and 1 where not all are finite
  };
  double limit() const;

  double largest_ = 0;  // of the last step that passed
  double scale_ = 0;    // 0: this pass only measures
  double seen_ = 0;     // largest |g| of a slot in this pass
  int64_t slots_ = 1;
  std::vector<char> not_finite_;  // by parameter
  std::vector<OnDevice> waiting_;
};

}  // namespace prefer
