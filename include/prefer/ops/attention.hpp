// Causal attention over a forest of segments or over pages of a cache, with gradient.
#pragma once

#include "kernels/attention/attention.hpp"
#include "prefer/tensor.hpp"

#include <span>
#include <vector>

namespace prefer {

/// Which queries see which keys (kernels/attention): runs of query rows, each with the spans of key rows that
/// stand before and at it, end to end from position 0. It lies on the CPU whatever the device of the tensors.
struct AttentionRuns {
  std::vector<kernels::attention::Run> runs;
  std::vector<kernels::attention::Span> spans;

  /// Adds a run of `count` query rows from row `begin`, at positions `position`, ... Its spans follow: add
  /// them to `spans` before the next run.
  void add(int64_t begin, int64_t count, int64_t position, std::span<const kernels::attention::Span> keys);
};

struct AttentionOptions {
  double scale = 0;    ///< of the scores; 0: 1 / sqrt(d)
  int64_t window = 0;  ///< how many keys a query sees, itself included; 0: all before it
};

/// q [Tq, H, d], k and v [R, K, d] -> [Tq, H, d]; H a multiple of K. On CPU a row's bits depend on its query
/// and on the keys and values it sees, and on nothing else. Throws Error when shapes do not fit, or a run
/// leaves them. On CUDA it does not wait for the device; runs and spans are copied before it returns.
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionRuns& runs,
                 const AttentionOptions& options = {});

}  // namespace prefer
