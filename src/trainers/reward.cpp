// Composes pairs or rankings, reward model, loss and the loop into a run of reward modelling.
#include "prefer/trainers/reward.hpp"

#include "prefer/core/error.hpp"
#include "prefer/model/load.hpp"
#include "prefer/train/measure.hpp"
#include "prefer/trainers/progress.hpp"

#include <algorithm>
#include <cmath>
#include <span>

namespace prefer {
namespace {

/// Leaves out pairs that say no margin, or throws at the first.
void want_margins(PreferenceData& data, OnBad on_bad) {
  std::vector<std::size_t> without;
  for (std::size_t i = 0; i < data.pairs.size(); ++i) {
    if (!std::isnan(data.pairs[i].margin)) continue;
    if (on_bad == OnBad::stop)
      throw BadRecord(data.pairs[i].place,
                      "loss.use_margin=true wants a \"margin\", and the record has none");
    without.push_back(i);
  }
  leave_out(data, without, "there is no margin");
}

double length_of(const TokenisedSide& side) { return static_cast<double>(side.completion.size()); }

}  // namespace

void RewardConfig::describe(Fields& f) {
  f("model", model, "Hugging Face folder or .gguf that is trained: a language model, or a reward model",
    required());
  PairsConfig::describe(f);
  f.group("loss", loss);
  RunConfig::describe(f);
}

void RewardConfig::check() const {
  RunConfig::check(eval.has_value());
  PairsConfig::check();
}

RewardTrainer::RewardTrainer(RewardConfig config, Process& process)
    : config_(std::move(config)),
      run_(config_, process),
      spans_(load_tokenizer(process.fs(), config_.model), config_.chat_template) {
  check_config(config_);
  const OnBad on_bad = config_.bad_records();
  if (config_.loss.ranks()) {
    const auto data = load_rankings(config_, spans_, on_bad, process);
    read(data.train, data.eval);
  } else {
    PairData data = load_pairs(config_, spans_, on_bad, process);
    if (std::get<BradleyTerry>(config_.loss.chosen).use_margin) {
      or_way_on([&] {
        want_margins(data.train, on_bad);
        if (data.eval) want_margins(*data.eval, on_bad);
      });
    }
    read(data.train, data.eval);
  }
  run_.trains(model_->transformer(), config_.model);
  config_.resolve(train_->size());
  objective_ = std::make_unique<RewardObjective>(model_, config_.loss);
}

template <class Data>
void RewardTrainer::read(const Data& train, const std::optional<Data>& eval) {
  model_ = run_.reward_model("model", config_.model, spans_.tokenizer());
  run_.say_where_read(model_->config(), config_.model, spans_.tokenizer());
  if (eval) {
    eval_ = source("eval", *config_.eval, *eval, true);
    pairs_ = pairs_of(*eval);
    for (const Record& record : eval_->records()) scores_.emplace_back(record.size());
  }
  train_ = source("train", config_.train, train, false);
}

/// Answers that are read at their ends, and scored nowhere.
template <class Data>
std::unique_ptr<RecordSource> RewardTrainer::source(const std::string& what, const std::string& path,
                                                    const Data& data, bool held_out) {
  check_trainable(data, config_.length, path);
  Dataset groups = as_dataset(data);
  for (Record& group : groups.records) {
    for (Sequence& answer : group) {
      answer.scored.clear();
      answer.reads = {{model_->end_of(answer.tokens)}};
    }
  }
  auto made = run_.source(what, path, std::move(groups), held_out);
  check_fits(*made, path, model_->config(), config_.model);
  return made;
}

std::vector<RewardTrainer::HeldOutPair> RewardTrainer::pairs_of(const PreferenceData& data) {
  std::vector<HeldOutPair> pairs;
  for (const TokenisedPair& pair : data.pairs) {
    pairs.push_back({{.chosen_tokens = length_of(pair.chosen),
                      .rejected_tokens = length_of(pair.rejected),
                      .question = pair.asked,
                      .subset = pair.subset},
                     pairs.size(),
                     0,
                     1});
  }
  return pairs;
}

std::vector<RewardTrainer::HeldOutPair> RewardTrainer::pairs_of(const RankingData& data) {
  std::vector<HeldOutPair> pairs;
  for (std::size_t record = 0; record < data.rankings.size(); ++record) {
    const TokenisedRanking& ranking = data.rankings[record];
    for (std::size_t k = 0; k < ranking.ranks.size(); ++k) {
      for (std::size_t j = 0; j < ranking.ranks.size(); ++j) {
        if (ranking.ranks[k] >= ranking.ranks[j]) continue;
        pairs.push_back({{.chosen_tokens = length_of(ranking.answers[k]),
                          .rejected_tokens = length_of(ranking.answers[j]),
                          .question = ranking.asked,
                          .subset = ranking.subset},
                         record,
                         k,
                         j});
      }
    }
  }
  return pairs;
}

std::vector<JudgedPair> RewardTrainer::judged() const {
  std::vector<JudgedPair> judged;
  for (const HeldOutPair& held : pairs_) {
    JudgedPair& pair = judged.emplace_back(held.pair);
    pair.chosen = scores_[held.record][held.chosen];
    pair.rejected = scores_[held.record][held.rejected];
  }
  return judged;
}

Metrics RewardTrainer::measure() {
  ProgressLine progress(config_.loss.ranks() ? "held-out rankings" : "held-out pairs", eval_->size(),
                        run_.team());
  const auto answers = [&](int64_t record) { return std::span(scores_[static_cast<std::size_t>(record)]); };
  const auto widest = std::ssize(*std::ranges::max_element(scores_, {}, &std::vector<double>::size));
  const Look look = [&](const Batch& batch, const Slot& slot) {
    const Tensor scores = objective_->scores(batch);  // [S], a record's answers end to end
    Findings found;
    found.metrics.merge(objective_->loss(batch, scores).metrics, "eval_");
    found.rows = at::zeros({std::ssize(slot.records), widest}, at::kDouble);
    const Tensor here = scores.to(at::kCPU);
    const double* next = here.const_data_ptr<double>();
    double* row = found.rows.mutable_data_ptr<double>();
    for (const int64_t record : slot.records) {
      std::copy_n(next, answers(record).size(), row);
      next += answers(record).size();
      row += widest;
    }
    return found;
  };
  const Plan plan = eval_->plan(1);
  const Findings found =
      prefer::measure(plan, *eval_, run_.team(), look, [&](int64_t done, int64_t) { progress(done); });
  const double* row = found.rows.const_data_ptr<double>();
  for (const Slot& slot : plan.slots) {
    for (const int64_t record : slot.records) {
      std::copy_n(row, answers(record).size(), answers(record).begin());
      row += widest;
    }
  }
  return found.metrics;
}

std::vector<Figure> RewardTrainer::figures() {
  return reward_figures(judged(), static_cast<uint64_t>(config_.seed));
}

void RewardTrainer::train(Hooks hooks) {
  Training training(config_.fit, *train_, *objective_);
  run_.open(training, config_json(config_));
  run_.say_memory(training, *train_, model_->config(), false);
  if (eval_) {
    before_ = run_.before(training, [this] {
      measure();
      return figures();
    });
    if (training.step == config_.fit.steps) measure();
    run_.evaluates(hooks, [this] { return measure(); });
  }
  const FitResult result = run_.fit(training, hooks);
  run_.team().on_first([&] { finish(result); });
}

void RewardTrainer::finish(const FitResult& result) {
  const Tokenizer& tokenizer = spans_.tokenizer();
  const std::optional<int64_t> pad = model_->config().pad;
  const bool named = pad && *pad >= 0 && *pad < tokenizer.vocab_size();
  save_model(run_.process().fs(), run_.path("model"), model_->transformer(),
             named ? tokenizer.files_padding_with(static_cast<int32_t>(*pad)) : tokenizer.files());
  report().title = "Reward model on " + config_.train;
  report().summary = std::to_string(result.step) + " steps of " + std::to_string(config_.order.batch_size) +
                     (config_.loss.ranks() ? " rankings." : " pairs.");
  if (eval_) {
    report().figures = with_before(figures(), before_);
    report().plots = {calibration_plot(judged())};
  }
  run_.finish(result, model_->transformer(), config_.model);
}

}  // namespace prefer
