// What a model in training says to the same prompts, now and then: files a person can read, and the report's
// samples.
#pragma once

#include "prefer/core/fs.hpp"
#include "prefer/dist/team.hpp"
#include "prefer/eval/report.hpp"
#include "prefer/model/generate.hpp"
#include "prefer/text/spans.hpp"
#include "prefer/train/event.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace prefer {

struct SamplesConfig {
  std::optional<std::string> prompts = {};  ///< a file of {prompt} or {messages} a line; none: no samples
  int64_t every = 0;            ///< steps (PPO: iterations) between answers; 0: before and after alone
  int64_t max_new_tokens = 64;  ///< of an answer

  void describe(Fields& f);
  /// Throws Error where `every` has nothing to answer.
  void check() const;
};

/// Greedy continuations of a file of prompts ({prompt} or {messages} a line), written to
/// `folder`/step-N.jsonl as lines of {prompt, completion}. The same step writes the same bytes, so a run that
/// goes on leaves no trace of having stopped.
class Samples {
 public:
  /// Reads the prompts; throws Error with the place for what is no prompt, or leaves `model` no room to
  /// answer. `fs` and `spans` must outlive the value.
  Samples(const SamplesConfig& config, const ModelConfig& model, Fs& fs, const std::string& folder,
          const SpanBuilder& spans, Specials specials = Specials::plain);

  /// Lets the model speak after `step` steps.
  void write(int64_t step, const Transformer& model);
  /// Does so now, where `step` is 0, and gives the hook that does every `every` steps and at the end.
  /// The samples, `model` and `team` must outlive the hook.
  Hook hook(const Transformer& model, int64_t step, Team& team);
  /// SHA-256 of the file of prompts.
  const std::string& fingerprint() const { return fingerprint_; }
  /// What was said after step 0 and after `last`.
  std::vector<SideBySide> side_by_side(int64_t last) const;

 private:
  std::string path(int64_t step) const;

  SamplesConfig config_;
  Fs& fs_;
  std::string folder_;
  const SpanBuilder& spans_;
  std::string fingerprint_;
  std::vector<std::string> shown_;  // prompts as a person reads them
  std::vector<Prompt> prompts_;
};

class Run;

/// The samples of a run, whose prompts are an input of it; null where the config names none.
std::unique_ptr<Samples> make_samples(const SamplesConfig& config, const ModelConfig& model, Run& run,
                                      const SpanBuilder& spans, bool specials_in_text);

}  // namespace prefer
