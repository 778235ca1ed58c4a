// Kahneman-Tversky optimization: from verdicts on single answers.
#pragma once

#include "prefer/core/config.hpp"
#include "prefer/losses/judged.hpp"

namespace prefer {

/// KTO, Ethayarajh et al. 2024, eqs. 7 and 8 (arXiv 2402.01306):
///   loss = lambda_D (1 - sigmoid(beta (r - z))) of a desirable answer, lambda_U (1 - sigmoid(beta (z - r)))
///   of another, r = log pi(y|x) - log ref(y|x),  z = max(0, mean of r over prompts with the answer of
///   another prompt of the step),
/// where z estimates KL(pi || ref) and carries no gradient. A prompt gets the answer of the next record, as
/// the paper's (i + 1) mod m; TRL gives it that of the one before.
struct Kto {
  static constexpr const char* name = "kto";
  double beta = 0.1;
  double desirable_weight = 1.0;
  double undesirable_weight = 1.0;

  Tensor operator()(const Judged& a) const {
    const Tensor z = a.kl.clamp_min(0);
    // The paper's value v of an answer, by its lambda.
    const Tensor desirable_value = at::sigmoid(beta * (a.ratio() - z));    // [S]
    const Tensor undesirable_value = at::sigmoid(beta * (z - a.ratio()));  // [S]
    return desirable_weight * a.desirable * (1 - desirable_value) +
           undesirable_weight * (1 - a.desirable) * (1 - undesirable_value);
  }
  void describe(Fields& f) {
    f("beta", beta, "pull towards the reference; larger stays closer", positive());
    f("desirable_weight", desirable_weight,
      "lambda_D; with n answers of each kind, keep lambda_D n_D / (lambda_U n_U) between 1 and 4/3",
      positive());
    f("undesirable_weight", undesirable_weight, "lambda_U", positive());
  }
};

}  // namespace prefer
