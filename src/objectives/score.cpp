// Packs sequences, runs them, and hands each its log-probs.
#include "prefer/objectives/score.hpp"

#include "prefer/objectives/logprob.hpp"

namespace prefer {

std::vector<std::vector<float>> score_sequences(const Model& model, std::span<const Sequence> sequences,
                                                int64_t tokens_per_batch, at::Device device) {
  const c10::NoGradGuard frozen;
  std::vector<std::vector<float>> result(sequences.size());
  for (std::size_t first = 0; first < sequences.size();) {
    std::size_t last = first;
    int64_t tokens = 0;
    while (last < sequences.size() && (last == first || tokens < tokens_per_batch)) {
      tokens += static_cast<int64_t>(sequences[last++].tokens.size());
    }
    const Forest forest = make_forest(sequences.subspan(first, last - first), Sharing::off);
    if (forest.scored() > 0) {
      const Tensor logp = token_logp(model, make_batch(forest, device)).to(at::kCPU, at::kFloat);  // [M]
      for (int64_t m = 0; m < forest.scored(); ++m) {
        result[first + static_cast<std::size_t>(forest.sequence[m])].push_back(logp.const_data_ptr<float>()[m]);
      }
    }
    first = last;
  }
  return result;
}

}  // namespace prefer
