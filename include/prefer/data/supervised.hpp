// Demonstrations as tokens: encoded, cut to length, and each token marked as one to learn or not.
#pragma once

#include "prefer/data/dataset.hpp"
#include "prefer/data/demonstration.hpp"
#include "prefer/data/tokenised.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace prefer {

/// Which tokens are learnt, and what is done with texts that are too long.
struct SupervisedOptions {
  /// completion: what stands after the prompt, with the template's end of the turn. assistant: every turn of
  /// the assistant, as TokenSpans::supervised has it; last: its last one. all: every token but the first.
  /// auto: the completion where a record has one, the turns of a conversation, all of a text.
  std::string loss_on = "auto";
  LengthOptions length = {};

  void describe(Fields& f);
};

/// A text, and which of its tokens are learnt.
struct TokenisedText {
  Sequence sequence = {};
  std::int64_t size = 0;  ///< tokens before truncation
  std::string place = {};
  /// SHA-256, before truncation, of its prompt: what stands before the completion, or before the assistant's
  /// first turn, whatever that weighs (with loss_on=last, before its last); of a text in which no part is set
  /// apart, the whole.
  std::string asked = {};
  bool bare = false;  ///< a plain string beside a chat template, which is for messages alone
};

/// All texts of a data set, ready to be trained on.
struct SupervisedData {
  std::string noun = "text";  ///< what messages call one of them
  std::vector<TokenisedText> texts = {};
  Skipped skipped = {};
};

/// Reads and encodes a file. Of each record the learnt tokens are scored: for Term::prompt those that only
/// "all" takes in (a record's prompt, what is not the assistant's), for Term::completion the rest. One with
/// no token to learn left is skipped and counted, whatever on_bad says. Throws Error, or counts with
/// OnBad::skip, for what demonstration_from_json refuses, what the template refuses, a conversation whose
/// turns are to be learnt and none is the assistant's, and a record without what `loss_on` names.
SupervisedData load_demonstrations(Fs& fs, const std::string& path, const SpanBuilder& builder,
                                   const SupervisedOptions& options, OnBad on_bad);

/// The same of judged answers, their completions learnt: the grade is 1 for a good one and 0 for a bad one.
SupervisedData load_judged(Fs& fs, const std::string& path, const SpanBuilder& builder,
                           const LengthOptions& length, OnBad on_bad);

/// As for pairs (tokenised.hpp): throws Error where no record is left or every one was cut.
void check_trainable(const SupervisedData& data, const LengthOptions& options, const std::string& name);
void leave_out(SupervisedData& data, std::span<const std::size_t> places, const std::string& reason);

/// Each a group of its own.
Dataset as_dataset(SupervisedData data);

}  // namespace prefer
