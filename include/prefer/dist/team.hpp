// The team of ranks that train together. A team of one needs no network.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "prefer/tensor.hpp"

namespace prefer {

/// The ranks of a run. Every rank calls the same collectives in the same order, whether it has slots or not.
class Team {
 public:
  virtual ~Team() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// Sums each tensor over the ranks, in place.
  virtual void reduce(std::vector<Tensor>& tensors) = 0;
  /// Whether `mine` holds on any rank.
  virtual bool any(bool mine) = 0;
  virtual void barrier() = 0;

  bool first() const { return rank() == 0; }
  /// Which of the slots with these token counts are this rank's, in their order. Dealt the same way on every rank:
  /// the largest first, each to the rank that has the fewest tokens so far.
  std::vector<int64_t> mine(std::span<const int64_t> tokens) const;
};

/// A team of one.
class Alone final : public Team {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void reduce(std::vector<Tensor>&) override {}
  bool any(bool mine) override { return mine; }
  void barrier() override {}
};

}  // namespace prefer
