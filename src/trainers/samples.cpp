// Reads prompts, lets the model go on from them, and keeps what it said.
#include "prefer/trainers/samples.hpp"

#include "prefer/core/error.hpp"
#include "prefer/core/lines.hpp"
#include "prefer/core/sha256.hpp"
#include "prefer/data/questions.hpp"
#include "prefer/text/json.hpp"
#include "prefer/train/hooks.hpp"
#include "prefer/trainers/run.hpp"

namespace prefer {

void SamplesConfig::describe(Fields& f) {
  f("prompts", prompts, "JSONL of {prompt} or {messages} that the model answers now and then, or null",
    path());
  f("every", every, "steps (PPO: iterations) between answers; 0: before and after training only",
    within(0, kMostSteps));
  f("max_new_tokens", max_new_tokens, "length of an answer", at_least(1));
}

void SamplesConfig::check() const {
  if (every > 0 && !prompts)
    fail("samples.every=", every, " wants prompts to answer, and samples.prompts is null");
}

Samples::Samples(const SamplesConfig& config, const ModelConfig& model, Fs& fs, const std::string& folder,
                 const SpanBuilder& spans, Specials specials)
    : config_(config), fs_(fs), folder_(folder), spans_(spans) {
  fingerprint_ = sha256(read_file(fs_, *config_.prompts, uint64_t{1} << 30));
  Skipped none;
  for (const Question& question :
       load_questions(fs_, *config_.prompts, spans_, {.specials = specials}, none)) {
    shown_.push_back(question.text);
    if (std::ssize(question.tokens) >= model.context)
      fail(question.place, ": the prompt has ", question.tokens.size(),
           " tokens, and the model's context is ", model.context, ": there is no room for an answer");
    prompts_.push_back({question.tokens, question.record});
  }
  if (prompts_.empty()) fail(*config_.prompts, ": there is no prompt");
}

std::string Samples::path(int64_t step) const {
  return join_path(folder_, "step-" + std::to_string(step) + ".jsonl");
}

void Samples::write(int64_t step, const Transformer& model) {
  const auto said = generate(model, prompts_, {.max_new_tokens = config_.max_new_tokens, .temperature = 0});
  std::string lines;
  for (std::size_t i = 0; i < prompts_.size(); ++i) {
    const std::string text =
        decode_after(spans_.shared_tokenizer(), prompts_[i].tokens, said[i].front().tokens);
    lines += dump(Json::object({{"prompt", shown_[i]}, {"completion", text}})) + "\n";
  }
  make_directories(fs_, folder_);
  write_file_atomically(fs_, path(step), lines);
}

Hook Samples::hook(const Transformer& model, int64_t step, Team& team) {
  if (step == 0) team.on_first([&] { write(0, model); });
  const Hook speak = on_first(team, [this, &model](StepEvent& event) { write(event.step, model); });
  if (config_.every > 0) return every(config_.every, speak);
  return [speak](StepEvent& event) {
    if (event.complete()) speak(event);
  };
}

std::unique_ptr<Samples> make_samples(const SamplesConfig& config, const ModelConfig& model, Run& run,
                                      const SpanBuilder& spans, bool specials_in_text) {
  if (!config.prompts) return {};
  auto samples = std::make_unique<Samples>(config, model, run.process().fs(), run.path("samples"), spans,
                                           specials_if(specials_in_text));
  run.reads("samples.prompts", samples->fingerprint());
  return samples;
}

std::vector<SideBySide> Samples::side_by_side(int64_t last) const {
  std::vector<SideBySide> result;
  LineReader before(fs_, path(0)), after(fs_, path(last));
  for (Line was, is; before.next(was) && after.next(is);) {
    const Json then = before.record(was), now = after.record(is);
    result.push_back({then.at("prompt").as_string(),
                      then.at("completion").as_string(),
                      now.at("completion").as_string(),
                      {},
                      {}});
  }
  return result;
}

}  // namespace prefer
