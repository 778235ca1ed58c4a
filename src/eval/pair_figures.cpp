// Figures of held-out pairs.
#include "prefer/eval/pair_figures.hpp"

#include "prefer/eval/pairwise.hpp"

#include <cmath>
#include <set>
#include <span>

namespace prefer {
namespace {

constexpr Interval kUnknown{NAN, NAN, NAN};

struct Baseline {
  std::string name;
  const std::vector<double>& margins;
};

}  // namespace

std::vector<Figure> pair_figures(const PairScores& scores, bool starts_level, uint64_t seed) {
  const std::span<const std::size_t> question = scores.question;
  const std::size_t questions = std::set<std::size_t>(question.begin(), question.end()).size();
  std::string pairs = std::to_string(scores.margin.size()) + " held-out pairs";
  if (!question.empty()) pairs += " of " + std::to_string(questions) + " prompts";
  const Interval level = starts_level ? Interval{0.5, 0.5, 0.5} : kUnknown;
  std::vector<Figure> figures = {
      {"accuracy of the implied reward", level, pairwise_accuracy(scores.margin, seed, question),
       pairs + "; a tie counts half"},
      {"its length-controlled accuracy", level,
       length_controlled_accuracy(scores.margin, scores.length, seed, question),
       "the same, by a logistic model, among answers of one length"},
      {"its margin", starts_level ? Interval{} : kUnknown, bootstrap_mean(scores.margin, question, seed),
       "mean reward of the chosen answers minus that of the rejected"}};
  std::vector<Baseline> baselines = {{"choose the longer", scores.length}};
  if (!scores.reference.empty()) {
    baselines.push_back({"choose what the reference finds likelier", scores.reference});
    baselines.push_back({"choose what it finds likelier a token", scores.reference_mean});
  }
  const std::vector<double> ties(scores.margin.size(), 0.0);
  for (const auto& [name, margins] : baselines) {
    const Interval accuracy = pairwise_accuracy(margins, seed, question);
    figures.push_back({"baseline: " + name, accuracy, accuracy, "accuracy on the same pairs"});
    figures.push_back({"the reward's accuracy above that",
                       starts_level ? accuracy_gain(ties, margins, seed, question) : kUnknown,
                       accuracy_gain(scores.margin, margins, seed, question), "paired, on the same pairs"});
  }
  return figures;
}

}  // namespace prefer
