// AdamW over named parameters, with fp32 moments and fp32 masters of bf16 weights.
#pragma once

#include "prefer/core/config.hpp"
#include "prefer/train/trained.hpp"

namespace prefer {

/// Names and meaning are those of transformers' TrainingArguments.
struct AdamWConfig {
  double learning_rate = 1e-6;  ///< at the schedule's peak, a step
  double weight_decay = 0;      ///< times the learning rate, of each weight a step; 0: none
  double adam_beta1 = 0.9;
  double adam_beta2 = 0.999;
  double adam_epsilon = 1e-8;
  std::string adam_epsilon_mode = "corrected";  ///< or uncorrected: see AdamW
  double max_grad_norm = 1;                     ///< longer gradients are shortened to it; 0: never

  void describe(Fields& f);
};

/// AdamW (Loshchilov, Hutter 2017, arXiv 1711.05101), the arithmetic in kernels/adamw. Weight decay leaves
/// out tensors of one dimension (norms, biases), as transformers does. Epsilon is added to the root of the
/// second moment after its bias is corrected, or, `uncorrected`, before: the epsilon hat of Kingma and Ba
/// 2015, section 2 (arXiv 1412.6980), which is TensorFlow 1's and makes the early steps longer.
class AdamW {
 public:
  AdamW(const AdamWConfig& config, std::vector<Trained> parameters);

  /// One update of every parameter. `gradients` stand in the parameters' order and are multiplied by `scale`
  /// first; `learning_rate` is the schedule's. Marks each weight as changed, so that copies packed from it
  /// are made again.
  void update(const std::vector<Tensor>& gradients, double learning_rate, double scale);
  /// What gradients of this norm are multiplied by, so that it does not exceed max_grad_norm (0 = never).
  double clipping(double norm) const;

  /// `m.NAME`, `v.NAME`, `master.NAME` (bf16 parameters) and `updates`. The tensors are the optimizer's own.
  NamedTensors state() const;
  /// Bytes of all that `state` gives.
  int64_t state_bytes() const;
  /// Copies from what `state` gave; weights are restored by their owner. Throws Error for a missing name or a
  /// shape.
  void restore(const NamedTensors& saved);

 private:
  struct Moments {
    Tensor m, v;    // of the parameter's shape, fp32 or fp64
    Tensor master;  // of the parameter's shape, fp32; undefined unless the parameter is bf16
  };
  /// Made when they are first asked for: until the first update they are zeros, and the first forward pass
  /// need not wait for them.
  std::vector<Moments>& moments() const;

  AdamWConfig config_;
  std::vector<Trained> parameters_;
  mutable std::vector<Moments> moments_;
  int64_t updates_ = 0;
};

}  // namespace prefer
