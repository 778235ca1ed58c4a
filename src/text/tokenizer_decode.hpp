// From tokens back to text: steps that take tokens one by one, so that whole and streamed decoding are one.
#pragma once

#include "tokenizer_regex.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace prefer::text {

/// Every match of `pattern` in a token becomes `content`.
struct ReplaceInToken {
  Pattern pattern;
  std::string content;
};
/// Letters of byte-level BPE become their bytes; a token with any other character stands for its own bytes.
struct FromByteLetters {};
/// <0x41> becomes a byte; a run of them that is not valid UTF-8 becomes U+FFFD for each.
struct FromByteTokens {};
/// From here on all tokens are one.
struct Fuse {};
/// Takes up to `start` leading and `stop` trailing copies of `content` off each token.
struct StripToken {
  std::string content;
  std::size_t start = 0, stop = 0;
};
/// `replacement` becomes a space; in the very first token, where `drop_first`, nothing.
struct FromMetaspace {
  std::string replacement;
  bool drop_first = true;
};
/// Puts a space between tokens (what Hugging Face tokenizers do without a decoder).
struct JoinBySpace {};

using DecodeStep = std::variant<ReplaceInToken, FromByteLetters, FromByteTokens, Fuse, StripToken,
                                FromMetaspace, JoinBySpace>;

/// The decoding of one stream of tokens by a chain of steps, which must outlive it.
class Decoding {
 public:
  explicit Decoding(const std::vector<DecodeStep>& steps) : steps_(&steps), states_(steps.size()) {}

  /// The text that the token completes.
  std::string feed(std::string_view token);
  /// The rest; the decoding is then as new.
  std::string flush();

 private:
  struct State {
    bool started = false;      // has seen a token
    std::string held;          // bytes or text not yet given on
    std::size_t stripped = 0;  // copies taken off the front of a fused token
  };
  struct Feeder;
  struct Finisher;
  void pass(std::size_t step, std::string_view token, std::string& out);
  bool fused_before(std::size_t step) const;

  const std::vector<DecodeStep>* steps_;
  std::vector<State> states_;
};

}  // namespace prefer::text
