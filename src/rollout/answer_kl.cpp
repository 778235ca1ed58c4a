// Samples answers and sums their tokens' KL.
#include "prefer/rollout/answer_kl.hpp"

#include "prefer/objectives/logprob.hpp"
#include "prefer/objectives/token_kl.hpp"

namespace prefer {

std::vector<double> answer_kl(const Transformer& policy, const Transformer& reference,
                              std::span<const Prompt> prompts, int64_t max_new_tokens, uint64_t seed) {
  const c10::NoGradGuard frozen;
  const auto answers = generate(
      policy, prompts,
      {.max_new_tokens = max_new_tokens, .temperature = 1, .seed = seed, .site = random_site::kAnswerKl});
  std::vector<double> result;
  constexpr std::size_t kAtOnce = 16;
  for (std::size_t first = 0; first < prompts.size(); first += kAtOnce) {
    const std::size_t last = std::min(prompts.size(), first + kAtOnce);
    std::vector<Sequence> sequences;
    for (std::size_t i = first; i < last; ++i) {
      sequences.push_back(answer_after(prompts[i].tokens, answers[i].front().tokens));
      sequences.back().group = static_cast<int64_t>(i);
    }
    const Batch batch = make_batch(make_forest(sequences, Sharing::off), policy.device());
    const Tensor sums = by_sequence(token_kl(policy, reference, batch), batch).to(at::kCPU);  // [S]
    result.insert(result.end(), sums.const_data_ptr<double>(), sums.const_data_ptr<double>() + sums.size(0));
  }
  return result;
}

std::vector<double> answer_kl(const Transformer& policy, const Transformer& reference,
                              std::span<const Prompt> prompts, int64_t max_new_tokens, uint64_t seed,
                              Team& team) {
  std::vector<int64_t> sizes;
  for (const Prompt& prompt : prompts) sizes.push_back(static_cast<int64_t>(prompt.tokens.size()));
  const std::vector<int64_t> mine = team.mine(sizes);
  std::vector<Prompt> asked;
  for (const int64_t i : mine) asked.push_back(prompts[static_cast<std::size_t>(i)]);
  std::vector<double> kl;
  if (!asked.empty()) kl = answer_kl(policy, reference, asked, max_new_tokens, seed);
  return team.gather(mine, kl, static_cast<int64_t>(prompts.size()));
}

}  // namespace prefer
