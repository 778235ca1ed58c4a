// Reads files of pairs and looks for prompts that both have.
#include "prefer/trainers/pairs.hpp"

#include "prefer/core/error.hpp"

namespace prefer {
namespace {

void check_overlap(PreferenceData& train, const PreferenceData& eval, bool drop, const Process& process) {
  const std::vector<std::size_t> shared = shared_prompts(train.pairs, eval.pairs);
  const char* then = shared.empty() ? ""
                     : drop         ? ": left out"
                            : "; drop_overlap=true leaves them out, which makes held-out figures honest";
  process.say(std::to_string(shared.size()) + " of " + std::to_string(train.pairs.size()) +
              " training pairs have a prompt that eval has too" + then);
  if (drop) leave_out(train, shared, "prompt is in eval too");
}

}  // namespace

void PairsConfig::describe(Fields& f) {
  f("train", train, "pairs: .jsonl, .jsonl.gz or a JSON array", required());
  f("eval", eval, "held-out pairs, or null");
  f("drop_overlap", drop_overlap,
    "leave out training pairs whose prompt is in `eval` too; false counts and says them");
  length.describe(f);
}

void PairsConfig::check() const {
  if (drop_overlap && !eval) fail("drop_overlap=true wants held-out pairs, and eval is null");
}

PairData load_pairs(const PairsConfig& config, const SpanBuilder& spans, OnBad on_bad, Process& process) {
  const auto load = [&](const std::string& path) {
    PreferenceData data = load_preferences(process.fs(), path, spans, config.length, on_bad);
    check_trainable(data, config.length, path);
    return data;
  };
  PairData data{load(config.train), {}};
  if (!config.eval) return data;
  data.eval = load(*config.eval);
  check_overlap(data.train, *data.eval, config.drop_overlap, process);
  check_trainable(data.train, config.length, config.train);
  return data;
}

}  // namespace prefer
