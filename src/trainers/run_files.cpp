// Reads metrics back as plots, and estimates memory.
#include "prefer/trainers/run_files.hpp"

#include "prefer/core/lines.hpp"
#include "prefer/model/config.hpp"
#include "prefer/model/weights.hpp"
#include "prefer/ops/linear_logprob.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace prefer {
namespace {

/// Which plot and curve a metric is: "rewards/chosen" is the curve "chosen" of the plot "rewards",
/// "eval_loss" the held-out curve of "loss".
struct Place {
  std::string plot, curve;
  bool held_out;

  explicit Place(std::string name) : held_out(name.starts_with("eval_")) {
    if (held_out) name.erase(0, 5);
    const std::size_t slash = name.find('/');
    plot = name.substr(0, slash);
    curve = slash == std::string::npos ? name : name.substr(slash + 1);
    const bool of_ppo = slash != std::string::npos &&
                        (plot == "objective" || plot == "policy" || plot == "val" || plot == "loss");
    if (curve == "accuracies" || curve == "margins" || of_ppo)
      plot = curve;  // of another scale than what stands beside it
  }
};

/// Plots in the order in which a reader asks for them.
std::size_t rank(const std::string& plot) {
  static const std::vector<std::string> order = {"loss",    "scores",     "rewards",
                                                 "margins", "accuracies", "mean_reward",
                                                 "margin",  "accuracy",   "mean_token_accuracy",
                                                 "entropy", "kl",         "logps"};
  return static_cast<std::size_t>(std::ranges::find(order, plot) - order.begin());
}

}  // namespace

std::vector<Plot> read_plots(Fs& fs, const std::string& folder) {
  std::vector<Plot> plots;
  LineReader lines(fs, join_path(folder, "metrics.jsonl"));
  for (Line line; lines.next(line);) {
    const Json record = lines.record(line);
    const double step = record.at("step").as_number();
    for (const auto& [name, value] : record.as_object()) {
      if (name == "step" || !value.is_number()) continue;
      const Place place(name);
      auto plot = std::ranges::find(plots, place.plot, &Plot::title);
      if (plot == plots.end()) plot = plots.insert(plots.end(), Plot{place.plot, "", {}});
      auto at = std::ranges::find_if(plot->curves, [&](const Curve& c) {
        return c.name == place.curve && c.held_out == place.held_out;
      });
      if (at == plot->curves.end()) at = plot->curves.insert(at, Curve{place.curve, {}, place.held_out});
      at->points.emplace_back(step, value.as_number());
    }
  }
  std::ranges::stable_sort(plots, {}, [](const Plot& plot) { return rank(plot.title); });
  return plots;
}

Json figures_json(const std::vector<Figure>& figures) {
  Json all = Json::array();
  for (const Figure& figure : figures) {
    const Interval& found = figure.after;
    const bool known = std::isfinite(found.mean) && std::isfinite(found.low) && std::isfinite(found.high);
    Json one = Json::object({{"name", figure.name}, {"note", figure.note}});
    one.set("measured", known ? Json::array({found.mean, found.low, found.high}) : Json());
    all.as_array().push_back(std::move(one));
  }
  return all;
}

std::vector<Figure> figures_from_json(const Json& figures) {
  std::vector<Figure> all;
  for (const Json& one : figures.as_array()) {
    Figure figure{one.at("name").as_string(), {}, {NAN, NAN, NAN}, one.at("note").as_string()};
    if (const Json& found = one.at("measured"); !found.is_null())
      figure.after = {found.at(std::size_t{0}).as_number(), found.at(std::size_t{1}).as_number(),
                      found.at(std::size_t{2}).as_number()};
    all.push_back(std::move(figure));
  }
  return all;
}

MemoryEstimate estimate_memory(const ModelConfig& model, int64_t width, bool reference, const SlotSize& slot,
                               bool checkpointing) {
  int64_t parameters = 0;
  for (const WeightSpec& spec : weight_specs(model)) {
    int64_t count = 1;
    for (const int64_t n : spec.shape) count *= n;
    parameters += count;
  }
  const int64_t sum = width == 8 ? 8 : 4;  // gradients and moments are fp32 for fp32 and bf16
  const int64_t embedding = model.vocab_size * model.hidden_size;
  // Two sums, queries, keys and values, what attention saw, gate and up: the rest is made again in backward.
  const int64_t layer = 2 * model.hidden_size + 2 * (model.heads + model.kv_heads) * model.head_dim +
                        2 * model.intermediate_size;
  const int64_t kept = checkpointing ? model.layers * model.hidden_size + layer : model.layers * layer;
  // The head's gradient is taken from the logits' gradient and its transposed copy.
  const int64_t logits = std::min(LogprobOptions().logits_bytes, slot.scored * model.vocab_size * width);
  MemoryEstimate estimate;
  estimate.weights = parameters * width;
  if (reference) estimate.frozen = (parameters + embedding) * width;
  estimate.gradients = parameters * sum + embedding * width;
  estimate.optimizer = parameters * (2 * sum + (width == 2 ? 4 : 0));
  estimate.activations = slot.tokens * kept * width + 2 * logits;
  return estimate;
}

std::string MemoryEstimate::text(bool resumed) const {
  const auto said = [](int64_t bytes) {  // parts and whole in one unit
    char text[32];
    std::snprintf(text, sizeof text, "%.2f GB", static_cast<double>(bytes) / 1e9);
    return std::string(text);
  };
  // What a checkpoint holds is in memory twice while it is read.
  const int64_t reading = 2 * (weights + optimizer) + frozen + program;
  return "about " + said(total()) + " at the peak: weights " + said(weights + frozen) + ", gradients " +
         said(gradients) + ", optimizer " + said(optimizer) + ", activations " + said(activations) +
         ", the program itself " + said(program) +
         (resumed && reading > total() ? "; reading the checkpoint takes about " + said(reading) : "");
}

}  // namespace prefer
