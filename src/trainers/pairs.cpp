// Reads files of pairs or rankings and looks for prompts that both have.
#include "prefer/trainers/pairs.hpp"

#include "prefer/core/error.hpp"

namespace prefer {
namespace {

const auto& records_of(const PreferenceData& data) { return data.pairs; }
const auto& records_of(const RankingData& data) { return data.rankings; }

template <class Data>
void check_overlap(Data& train, const Data& eval, const char* what, bool drop, const Process& process) {
  const std::vector<std::size_t> shared = shared_prompts(records_of(train), records_of(eval));
  const char* then = shared.empty() ? ""
                     : drop         ? ": left out"
                            : "; drop_overlap=true leaves them out, which makes held-out figures honest";
  process.say(std::to_string(shared.size()) + " of " + std::to_string(records_of(train).size()) +
              " training " + what + " have a prompt that eval has too" + then);
  if (drop) leave_out(train, shared, "prompt is in eval too");
}

/// Both files by `load`, which gives the data of one; `what` they hold.
template <class Load>
auto train_and_eval(const PairsConfig& config, const char* what, Process& process, const Load& load) {
  const auto checked = [&](const std::string& path) {
    auto data = load(path);
    check_trainable(data, config.length, path);
    return data;
  };
  TrainAndEval<decltype(load(config.train))> data{checked(config.train), {}};
  if (!config.eval) return data;
  data.eval = checked(*config.eval);
  check_overlap(data.train, *data.eval, what, config.drop_overlap, process);
  check_trainable(data.train, config.length, config.train);
  return data;
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
  return train_and_eval(config, "pairs", process, [&](const std::string& path) {
    return load_preferences(process.fs(), path, spans, config.length, on_bad);
  });
}

TrainAndEval<RankingData> load_rankings(const PairsConfig& config, const SpanBuilder& spans, OnBad on_bad,
                                        Process& process) {
  return train_and_eval(config, "rankings", process, [&](const std::string& path) {
    return load_rankings(process.fs(), path, spans, config.length, on_bad);
  });
}

}  // namespace prefer
