// KL of a policy from its reference over whole answers, estimated on answers that the policy gives.
#pragma once

#include "prefer/dist/team.hpp"
#include "prefer/model/generate.hpp"

#include <span>
#include <vector>

namespace prefer {

/// For each prompt, nats an answer: the policy answers once, at temperature 1 and unfiltered, and the exact
/// KL of its next-token distribution is summed along the answer. The mean over answers is an unbiased
/// estimate of KL(pi || ref) of answers of up to `max_new_tokens` tokens, with less variance than that of
/// log-ratios (Rao-Blackwell; Amini, Vieira and Cotterell 2025, arXiv 2504.10637). Draws are keyed by `seed`,
/// the same at every call. [prompts]
std::vector<double> answer_kl(const Transformer& policy, const Transformer& reference,
                              std::span<const Prompt> prompts, int64_t max_new_tokens, uint64_t seed);
/// The same, the prompts shared out: on every rank that of all. Collective.
std::vector<double> answer_kl(const Transformer& policy, const Transformer& reference,
                              std::span<const Prompt> prompts, int64_t max_new_tokens, uint64_t seed,
                              Team& team);

}  // namespace prefer
