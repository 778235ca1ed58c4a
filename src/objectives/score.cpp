// Packs sequences, runs them, and hands each what its rows say.
#include "prefer/objectives/score.hpp"

#include "prefer/objectives/logprob.hpp"

namespace prefer {
namespace {

/// Calls `run` with the forest of each stretch of sequences that fits the budget, or is one alone, and the
/// first one's number.
template <class Run>
void in_batches(std::span<const Sequence> sequences, int64_t tokens_per_batch, const Run& run) {
  for (std::size_t first = 0; first < sequences.size();) {
    std::size_t last = first;
    int64_t tokens = 0;
    for (; last < sequences.size(); ++last) {
      tokens += static_cast<int64_t>(sequences[last].tokens.size());
      if (last > first && tokens > tokens_per_batch) break;
    }
    run(make_forest(sequences.subspan(first, last - first), Sharing::off), first);
    first = last;
  }
}

}  // namespace

std::vector<std::vector<float>> score_sequences(const Model& model, std::span<const Sequence> sequences,
                                                int64_t tokens_per_batch, at::Device device) {
  const c10::NoGradGuard frozen;
  std::vector<std::vector<float>> result(sequences.size());
  in_batches(sequences, tokens_per_batch, [&](const Forest& forest, std::size_t first) {
    if (forest.scored() == 0) return;
    const Tensor logp = token_logp(model, make_batch(forest, device)).to(at::kCPU, at::kFloat);  // [M]
    for (int64_t m = 0; m < forest.scored(); ++m) {
      result[first + static_cast<std::size_t>(forest.sequence[m])].push_back(logp.const_data_ptr<float>()[m]);
    }
  });
  return result;
}

std::vector<float> score_texts(const RewardModel& model, std::span<const std::vector<int32_t>> texts,
                               int64_t tokens_per_batch, at::Device device) {
  const c10::NoGradGuard frozen;
  std::vector<Sequence> sequences;
  for (const std::vector<int32_t>& text : texts)
    sequences.push_back({.tokens = text, .reads = {{model.end_of(text)}}});
  std::vector<float> result;
  in_batches(sequences, tokens_per_batch, [&](const Forest& forest, std::size_t) {
    const Tensor scores = model.scores(make_batch(forest, device)).to(at::kCPU, at::kFloat);  // [P]
    result.insert(result.end(), scores.const_data_ptr<float>(),
                  scores.const_data_ptr<float>() + scores.numel());
  });
  return result;
}

}  // namespace prefer
