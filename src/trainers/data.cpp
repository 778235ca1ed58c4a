// Reads files of records and looks for prompts that both have.
#include "prefer/trainers/data.hpp"

#include "prefer/core/error.hpp"

namespace prefer {
namespace {

const auto& records_of(const PreferenceData& data) { return data.pairs; }
const auto& records_of(const RankingData& data) { return data.rankings; }
const auto& records_of(const SupervisedData& data) { return data.texts; }

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
auto train_and_eval(const DataConfig& config, const LengthOptions& length, const char* what,
                    const Process& process, const Load& load) {
  const auto checked = [&](const std::string& path) {
    auto data = or_way_on([&] { return load(path); });
    check_trainable(data, length, path);
    return data;
  };
  TrainAndEval<decltype(load(config.train))> data{checked(config.train), {}};
  if (!config.eval) return data;
  data.eval = checked(*config.eval);
  check_overlap(data.train, *data.eval, what, config.drop_overlap, process);
  check_trainable(data.train, length, config.train);
  return data;
}

}  // namespace

void DataConfig::describe(Fields& f, std::string_view train_help, std::string_view eval_help) {
  f("train", train, train_help, required());
  f("eval", eval, eval_help, path());
  f("drop_overlap", drop_overlap,
    "leave out training records whose prompt is in `eval` too; false counts and says them");
}

void DataConfig::check() const {
  if (drop_overlap && !eval) fail("drop_overlap=true wants held-out records, and eval is null");
}

void PairsConfig::describe(Fields& f) {
  DataConfig::describe(f, "pairs: .jsonl, .jsonl.gz or a JSON array", "held-out pairs, or null");
  length.describe(f);
}

PairData load_pairs(const PairsConfig& config, const SpanBuilder& spans, OnBad on_bad, Process& process) {
  return train_and_eval(config, config.length, "pairs", process, [&](const std::string& path) {
    return load_preferences(process.fs(), path, spans, config.length, on_bad);
  });
}

RankedData load_rankings(const PairsConfig& config, const SpanBuilder& spans, OnBad on_bad,
                         Process& process) {
  return train_and_eval(config, config.length, "rankings", process, [&](const std::string& path) {
    return load_rankings(process.fs(), path, spans, config.length, on_bad);
  });
}

TextData load_demonstrations(const DataConfig& config, const SupervisedOptions& learn,
                             const SpanBuilder& spans, OnBad on_bad, Process& process) {
  return train_and_eval(config, learn.length, "texts", process, [&](const std::string& path) {
    return load_demonstrations(process.fs(), path, spans, learn, on_bad);
  });
}

TextData load_judged(const DataConfig& config, const LengthOptions& length, const SpanBuilder& spans,
                     OnBad on_bad, Process& process) {
  return train_and_eval(config, length, "answers", process, [&](const std::string& path) {
    return load_judged(process.fs(), path, spans, length, on_bad);
  });
}

}  // namespace prefer
