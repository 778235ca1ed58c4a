// A loss as sums and what they are per, and metrics as sums and counts: divided once, by totals of the whole
// step.
#pragma once

#include "prefer/tensor.hpp"

#include <map>
#include <string>
#include <vector>

namespace prefer {

/// A term of a loss: the sum over a micro-batch, and the name of the count that the sum over the whole step
/// is divided by. So any cut of the step into micro-batches gives the same gradient.
struct LossTerm {
  std::string name;
  Tensor sum;       // [] with gradient
  std::string per;  ///< a key of the step's Counts
  double weight = 1;
};

/// A metric is a weighted sum and its weight; both add up over micro-batches and ranks, and are divided when
/// printed.
struct Metric {
  Tensor sum;  // [] without gradient
  double count = 0;
};

/// Metrics by name; names are TRL's where TRL has them.
class Metrics {
 public:
  void add(const std::string& name, const Tensor& sum, double count);
  /// Adds all of another's, `prefix` before their names.
  void merge(const Metrics& other, const std::string& prefix = "");
  /// sum / count of each, read from the device once; NaN where both are 0.
  std::map<std::string, double> values() const;
  const std::map<std::string, Metric>& all() const { return metrics_; }
  std::map<std::string, Metric>& all() { return metrics_; }

 private:
  std::map<std::string, Metric> metrics_;
};

/// An identity that must hold at the first step of a fresh run that is not skipped ("loss is ln 2"), or of
/// every iteration ("ratio is 1"): checked in every run, which stops when |measured - expected| > bound. A
/// bound of 0 asks for the same bits.
struct Identity {
  std::string name;
  double measured = 0;
  double expected = 0;
  double bound = 0;
  bool every_iteration = false;
};

/// What an objective returns for a micro-batch.
struct Loss {
  std::vector<LossTerm> terms;
  Metrics metrics;
  std::vector<Identity> identities;

  /// The terms divided by the totals of what they are per, over all micro-batches and ranks, and weighted: a
  /// scalar whose sum over the micro-batches is the loss of the step. Throws Error for a `per` that has no
  /// total.
  Tensor divided_by(const std::map<std::string, double>& total) const;
};

}  // namespace prefer
