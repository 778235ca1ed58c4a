// The transformer of the Llama family: config and weights in, hidden states out, for training and for
// decoding alike.
#pragma once

#include "prefer/model/config.hpp"
#include "prefer/model/model.hpp"
#include "prefer/model/weights.hpp"
#include "prefer/ops/attention.hpp"
#include "prefer/ops/rope.hpp"

#include <memory>

namespace prefer {

/// Keys and values of every layer, as rows that belong to no one: runs say which rows a query sees.
struct KeyValueCache {
  std::vector<Tensor> keys;    // L x [R, K, d]
  std::vector<Tensor> values;  // L x [R, K, d]
};

/// Where each token stands and what it sees.
struct Placement {
  Tensor positions;           // [T] int64
  int64_t positions_end = 0;  ///< one more than the largest position
  AttentionRuns runs;
};

/// Places a forest: a segment's queries see its ancestors and, causally, itself. Throws Error for a segment
/// that comes before its parent or leaves the batch.
Placement place_forest(const std::vector<Segment>& segments, const Tensor& positions);

class Transformer final : public Model {
 public:
  /// Weights are shared, not copied. Throws Error when one is missing, has a shape that the config doesn't
  /// give, or is none of the config's.
  Transformer(ModelConfig config, NamedTensors weights);
  ~Transformer() override;

  /// The model must outlive the backward pass.
  Tensor hidden(const Batch& batch) const override;  // [T, D]
  const Matrix& head() const override { return head_; }
  /// The weights that require gradient, in the order of computation.
  Parameters parameters() const override;

  /// Hidden states of `tokens` [T], whose keys and values are first written to `rows` [T] of the cache; the
  /// runs' spans are rows of the cache. Without gradient.
  Tensor decode(const Tensor& tokens, const Placement& placement, const Tensor& rows,
                KeyValueCache& cache) const;
  /// A cache of `rows` rows, not written yet.
  KeyValueCache make_cache(int64_t rows) const;

  const ModelConfig& config() const { return config_; }
  /// All weights by their Hugging Face names; a tied head is not among them. Of a frozen copy: what is no
  /// matrix of a layer or a head.
  const NamedTensors& weights() const { return weights_; }
  at::ScalarType dtype() const { return head_.dtype(); }
  at::Device device() const { return head_.device(); }
  int64_t parameter_count() const;

  /// The model as it is now, for log-probabilities without gradient: a reference. No later change of these
  /// weights reaches it. It takes little more memory than the weights once (Matrix::frozen).
  std::shared_ptr<Transformer> frozen() const;

  /// Makes every weight one that is trained (a leaf that requires gradient), or none.
  void train(bool trained = true);
  /// Whether backward computes each layer again instead of keeping its activations: less memory, a third more
  /// work.
  void checkpoint_activations(bool on) { checkpointing_ = on; }

 private:
  struct Tables;
  explicit Transformer(ModelConfig config);
  Tensor run_layers(Tensor x, const Placement& placement, const Tensor* rows, KeyValueCache* cache) const;
  void build();

  ModelConfig config_;
  NamedTensors weights_;
  std::shared_ptr<const Layers> layers_;
  Matrix head_;
  bool checkpointing_ = false;
  std::unique_ptr<Tables> tables_;
};

}  // namespace prefer
