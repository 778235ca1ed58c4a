// The team of ranks that train together. A team of one needs no network.
#pragma once

#include "prefer/tensor.hpp"

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace prefer {

/// The ranks of a run. Every rank calls the same collectives in the same order, whether it has slots or not.
/// A collective throws Error, one line, where another rank is gone; `join` says when that shows.
class Team {
 public:
  virtual ~Team() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// Sums each tensor over the ranks, in place.
  virtual void reduce(std::vector<Tensor>& tensors) = 0;
  /// Begins to sum a contiguous tensor over the ranks, in place, and returns what waits for the sum.
  [[nodiscard]] virtual std::function<void()> start(Tensor tensor);
  /// Whether `mine` holds on any rank. Waits however long a rank is at work; other collectives give up.
  virtual bool any(bool mine) = 0;
  virtual void barrier() = 0;
  /// What the rank is at ("step 14"): said in errors, and by `launch` of a rank that dies.
  virtual void doing(const std::string& /*what*/) {}

  bool first() const { return rank() == 0; }
  /// Which of the slots with these token counts are this rank's, in their order. Dealt the same way on every
  /// rank: the largest first, each to the rank that has the fewest tokens so far.
  std::vector<int64_t> mine(std::span<const int64_t> tokens) const;
  /// What each rank has, in the order of the ranks. Collective.
  std::vector<double> gather(double mine);
  std::vector<std::string> gather(const std::string& mine);
  /// A number for each of `parts`, of which this rank knows those at `mine`: all of them, in the order of the
  /// parts. Collective.
  std::vector<double> gather(std::span<const int64_t> mine, std::span<const double> numbers, int64_t parts);
  /// The text of the first rank that has one, on every rank; empty where none has. Collective.
  std::string agree(const std::string& mine);
  /// Rank 0 does `work` while the others wait for it. Its Error is thrown on every rank. Collective.
  void on_first(const std::function<void()>& work);
  /// The same, and then the others do it too: what the first has made, they find. Collective.
  void first_then_others(const std::function<void()>& work);
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
