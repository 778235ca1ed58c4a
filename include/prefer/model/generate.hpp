// Sampling continuations: batched, with a key-value cache, and with draws that do not depend on the batch.
#pragma once

#include "prefer/core/config.hpp"
#include "prefer/core/random.hpp"
#include "prefer/model/transformer.hpp"
#include "prefer/ops/sample.hpp"

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace prefer {

/// How continuations are drawn.
struct GenerateOptions {
  int64_t max_new_tokens = 64;  ///< of a continuation at most, from 1; the model's context may end it before
  double temperature = 1;       ///< logits are divided by it; 0: the likeliest token, without a draw
  double top_p = 1;             ///< as SampleOptions has it, above 0; 1: all
  int64_t top_k = 0;            ///< draws are from this many of the likeliest tokens; 0: from all
  int64_t n = 1;                ///< continuations of each prompt, whose keys and values are computed once
  int64_t batch_size = 32;      ///< how many are decoded at once: changes speed and memory, and no result
  bool tempered = false;  ///< log-probs under the tempered model, as a policy that samples from it wants them
  bool entropies = false;  ///< also the entropy of the distribution that the log-probs are of
  uint64_t seed = 0;
  uint64_t step = 0;  ///< of the RandomKey
  uint32_t site = random_site::kGenerate;
  std::vector<int64_t> stop = {};  ///< tokens that end a text; empty: the model's own

  /// All but tempered, entropies, seed, step, site and stop, which programs and trainers set.
  void describe(Fields& f);
};

struct Prompt {
  std::vector<int32_t> tokens = {};
  uint64_t record = 0;  ///< of the RandomKey: draws follow the record wherever it stands
};

struct Completion {
  std::vector<int32_t> tokens = {};  ///< without the prompt; with the token that ended it
  /// Of each token under the model itself: unfiltered, and untempered unless asked.
  std::vector<float> logprobs = {};
  std::vector<float> entropies = {};  ///< nats, where each token was drawn; empty unless asked
  bool ended = false;  ///< by a stop token, rather than by max_new_tokens or the model's context
};

/// Called when a continuation is complete, in the order in which they end.
using CompletionSink = std::function<void(size_t prompt, size_t sample, const Completion&)>;

/// `n` continuations of every prompt. Finished rows leave the batch and waiting prompts enter. The
/// token at position p of sample s is drawn with RandomKey{seed, step, record, s, site, p};
/// on the CPU its log-probability has the bits that scoring the whole sequence gives. Throws Error for an
/// empty prompt, one that fills the model's context, tokens outside the vocabulary, or logits that are not
/// finite.
std::vector<std::vector<Completion>> generate(const Transformer& model, std::span<const Prompt> prompts,
                                              const GenerateOptions& options,
                                              const CompletionSink& sink = {});

}  // namespace prefer
