// The gradient of a step, summed over its slots and ranks.
#pragma once

#include "prefer/dist/team.hpp"
#include "prefer/train/fixed_point.hpp"
#include "prefer/train/trained.hpp"

#include <functional>
#include <optional>

namespace prefer {

/// Sums of gradients by name: fp64 for fp64 parameters, fp32 for all others. While it lives, every backward
/// adds to it: a hook takes each parameter's gradient as soon as it is complete and frees it, so that bf16
/// never adds to bf16. The sums of several parameters lie end to end in a bucket of about 25 MiB, in the
/// order in which backward comes to them, and go to the other ranks as one.
class Gradients {
 public:
  /// `exact`: slots are added up in fixed point, so that the sums have the same bits on any number of ranks.
  explicit Gradients(std::vector<Trained> parameters, bool exact = false);
  ~Gradients();
  Gradients(const Gradients&) = delete;
  Gradients& operator=(const Gradients&) = delete;

  /// Starts a step of so many slots: everything is zero.
  void clear(int64_t slots = 1);
  /// The next backward is the last of this rank's: buckets that it fills go to the other ranks while it fills
  /// more.
  void last(Team& team);
  /// Sums over the ranks. False, on every rank, where fixed point did not hold them: then everything is zero
  /// again, and the backwards are to be repeated, once. Collective.
  bool reduce(Team& team);
  /// The step has changed the weights.
  void passed();

  /// One tensor a parameter, of its shape, in the parameters' order; exact ones are there after `reduce`.
  std::vector<Tensor>& sums();
  /// The 2-norm over all parameters. On the CPU it is made of double sums over fixed pieces, so that its bits
  /// do not depend on the number of threads. Not finite where any element is not. Synchronises.
  double norm();
  /// The name of the first parameter whose gradient is not finite, or an empty string.
  std::string first_not_finite();
  /// The name of the parameter whose gradient has the largest norm.
  std::string largest();

  /// What exact sums remember from step to step; empty otherwise.
  NamedTensors state() const;
  void restore(const NamedTensors& state);

 private:
  class Collect;
  struct Bucket {
    std::vector<std::size_t> members;  ///< parameters
    Tensor sum;                        // [elements] of all members, those of each on a boundary of 64 bytes
    std::size_t missing = 0;           ///< members that the last backward has not come to
    std::function<void()> wait;        ///< for the sum over ranks, once it is on its way
  };
  void make_buckets();
  void add(std::size_t parameter, const Tensor& gradient);
  void send_filled();
  void send(Bucket& bucket);

  std::vector<Trained> parameters_;
  std::vector<Bucket> buckets_;
  std::vector<std::size_t> bucket_of_;  ///< by parameter
  std::vector<Tensor> parts_;           ///< by parameter, what slots are added to: a view of its bucket
  std::vector<Tensor> sums_;            ///< by parameter: `parts_` themselves, or what they stand for
  std::vector<char> empty_;    ///< nothing was added yet, and what the part holds is of an earlier step
  std::vector<char> missing_;  ///< the last backward has not come to it
  std::optional<FixedPoint> fixed_;
  Team* team_ = nullptr;  ///< while the last backward runs
  std::size_t sent_ = 0;  ///< buckets
};

}  // namespace prefer
