// Demonstrations as tokens: encoded, cut to length, and each token marked as one to learn or not.
#pragma once

#include "prefer/data/dataset.hpp"
#include "prefer/data/demonstration.hpp"
#include "prefer/data/tokenised.hpp"

#include <string>

namespace prefer {

/// Which tokens are learnt, and what is done with texts that are too long.
struct SupervisedOptions {
  /// completion: what stands after the prompt, with the template's end of the turn. assistant: every turn of
  /// the assistant, as TokenSpans::supervised has it; last: its last one. all: every token but the first.
  /// auto: the completion where a record has one, the turns of a conversation, all of a text.
  std::string loss_on = "auto";
  LengthOptions length;

  void describe(Fields& f);
};

/// Reads and encodes a file. A record alone is a group, its learnt tokens are scored: for Term::prompt those
/// that only "all" takes in (a record's prompt, what is not the assistant's), for Term::completion the rest.
/// One with no token to learn left is skipped and counted, whatever on_bad says. Throws Error, or counts with
/// OnBad::skip, for what demonstration_from_json refuses, what the template refuses, and a record without
/// what `loss_on` names; throws Error, saying what to change, where no record is left or every one was cut.
Dataset load_demonstrations(Fs& fs, const std::string& path, const SpanBuilder& builder,
                            const SupervisedOptions& options, OnBad on_bad);

/// The same of judged answers, their completions learnt: the grade is 1 for a good one and 0 for a bad one.
Dataset load_judged(Fs& fs, const std::string& path, const SpanBuilder& builder, const LengthOptions& length,
                    OnBad on_bad);

}  // namespace prefer
