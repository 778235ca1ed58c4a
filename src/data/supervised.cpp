// Marks what is learnt of demonstrations, cuts them, counts, and hands them to the planner.
#include "prefer/data/supervised.hpp"

#include "prefer/text/json.hpp"
#include "src/data/sides.hpp"

#include <algorithm>
#include <optional>

namespace prefer {
namespace {

using Messages = std::vector<Message>;

constexpr std::uint8_t kNot = 0, kLearnt = 1, kLearntPrompt = 2;

/// Tokens, and whether each is learnt: as an answer, or as what stands before one.
struct Learnt {
  std::vector<std::int32_t> ids;
  std::vector<std::uint8_t> learnt;
  std::string asked;               ///< as TokenisedText has it
  std::vector<float> weight = {};  ///< of each token; empty where all weigh 1
};

/// What a message says of itself: "weight", as OpenAI's fine-tuning files have it, 0 for a turn that is shown
/// and not learnt.
std::optional<float> weight_of(const Message& message) {
  const Json* given = message.extra.is_object() ? message.extra.find("weight") : nullptr;
  if (given == nullptr || given->is_null()) return {};
  const double weight = given->as_number();
  if (!(weight >= 0 && weight <= 1e6)) given->fail_here("a weight is 0 or more, not ", dump(*given));
  return static_cast<float>(weight);
}

/// Gives each token the weight of its message; what the template writes after a message counts as its own.
void weigh(Learnt& text, const std::vector<std::int32_t>& message, std::span<const Message> messages) {
  std::vector<std::optional<float>> weights;
  for (const Message& one : messages) weights.push_back(weight_of(one));
  if (std::ranges::none_of(weights, [](const auto& weight) { return weight.has_value(); })) return;
  float now = 1;
  for (std::size_t t = 0; t < text.ids.size(); ++t) {
    if (message[t] >= 0) now = weights[static_cast<std::size_t>(message[t])].value_or(1);
    text.weight.push_back(now);
    if (now == 0) text.learnt[t] = kNot;
  }
}

/// Keeps of `spans.supervised` what belongs to the last message of the assistant, its template's part too.
void keep_last_turn(TokenSpans& spans, std::span<const Message> messages) {
  auto last = static_cast<std::int32_t>(messages.size()) - 1;
  while (last >= 0 && role_of(messages[static_cast<std::size_t>(last)].role) != Role::assistant) --last;
  const auto first =
      std::ranges::find_if(spans.message, [&](std::int32_t m) { return last >= 0 && m >= last; });
  auto begin = static_cast<std::size_t>(first - spans.message.begin());
  while (begin > 0 && spans.message[begin - 1] < 0 && spans.supervised[begin - 1]) --begin;
  std::fill_n(spans.supervised.begin(), begin, std::uint8_t{0});
}

/// Throws Error where no message is the assistant's, which other formats call otherwise.
void want_assistant(std::span<const Message> messages) {
  std::vector<std::string> roles;
  for (const Message& message : messages) {
    if (role_of(message.role) == Role::assistant) return;
    const std::string role = quote(message.role);
    if (std::ranges::find(roles, role) == roles.end()) roles.push_back(role);
  }
  std::string seen;
  for (const std::string& role : roles) seen += (seen.empty() ? "" : ", ") + role;
  fail("no message of the assistant (its roles are ", seen, ")");
}

/// SHA-256 of what stands before the first token of an answer, or of all where there is none.
std::string asked_of(const TokenSpans& spans) {
  const auto answer = std::ranges::find(spans.supervised, kLearnt) - spans.supervised.begin();
  return hash_of({spans.ids.begin(), spans.ids.begin() + answer});
}

class Encoder {
 public:
  Encoder(const SpanBuilder& builder, const SupervisedOptions& options)
      : builder_(builder), options_(options) {}

  Learnt operator()(const Demonstration& source) const {
    const std::string which = resolved(source);
    check(source, which);
    if (which == "completion" || !source.is_chat()) return after_prompt(source, which == "all");
    Messages messages = std::get<Messages>(source.prompt);
    std::ranges::copy(std::get<Messages>(source.completion), std::back_inserter(messages));
    TokenSpans spans = builder_.chat(messages, {.tools = source.tools});
    if (which == "all") std::ranges::replace(spans.supervised, kNot, kLearntPrompt);
    if (which == "last") keep_last_turn(spans, messages);
    if (std::ranges::count(spans.supervised, kNot) == std::ssize(spans.supervised)) want_assistant(messages);
    std::string asked = asked_of(spans);
    Learnt text{std::move(spans.ids), std::move(spans.supervised), std::move(asked)};
    weigh(text, spans.message, messages);
    return text;
  }

 private:
  std::string resolved(const Demonstration& source) const {
    if (options_.loss_on != "auto") return options_.loss_on;
    return !source.whole ? "completion" : source.is_chat() ? "assistant" : "all";
  }

  void check(const Demonstration& source, const std::string& which) const {
    const char* what = !source.is_chat() ? "text" : "conversation";
    if (which == "completion" && source.whole)
      fail("loss_on=completion wants a prompt and a completion, and this record is one ", what, "; ",
           source.is_chat() ? "assistant, last and " : "", "all would do");
    if ((which == "assistant" || which == "last") && !source.is_chat())
      fail("loss_on=", which, " wants the messages of a conversation, and this record is text; ",
           source.whole ? "" : "completion and ", "all would do");
  }

  Learnt after_prompt(const Demonstration& source, bool all) const {
    const LengthOptions& length = options_.length;
    if (source.is_chat())
      for (const Message& one : std::get<Messages>(source.completion))  // of the prompt nothing is learnt
        if (weight_of(one).value_or(1) != 1)
          fail(
              "the answer to a prompt has a weight; weights are those of a conversation's turns (sft with "
              "loss_on=assistant, last or all)");
    const TokenisedCompletion made =
        source.is_chat()
            ? builder_.answer(std::get<Messages>(source.prompt), std::get<Messages>(source.completion),
                              {.tools = source.tools})
            : builder_.answer(std::get<std::string>(source.prompt), std::get<std::string>(source.completion),
                              specials_if(length.specials_in_text), length.append_eos);
    Learnt out{made.prompt, std::vector<std::uint8_t>(made.prompt.size(), all ? kLearntPrompt : kNot), {}};
    out.ids.insert(out.ids.end(), made.completion.begin(), made.completion.end());
    out.learnt.resize(out.ids.size(), kLearnt);
    out.asked = hash_of(source.whole ? out.ids : made.prompt);
    return out;
  }

  const SpanBuilder& builder_;
  const SupervisedOptions& options_;
};

void truncate(Learnt& text, const LengthOptions& options) {
  const TokenRange kept = options.kept(std::ssize(text.ids));
  keep(text.ids, kept);
  keep(text.learnt, kept);
  if (!text.weight.empty()) keep(text.weight, kept);
}

/// The runs of learnt tokens; the first token of all has nothing before it.
Sequence sequence_of(Learnt text) {
  Sequence out;
  const auto size = static_cast<std::int64_t>(text.ids.size());
  for (std::int64_t t = 1; t < size; ++t) {
    const std::uint8_t learnt = text.learnt[static_cast<std::size_t>(t)];
    if (learnt == kNot) continue;
    const Term term = learnt == kLearntPrompt ? Term::prompt : Term::completion;
    if (out.scored.empty() || out.scored.back().end != t || out.scored.back().term != term)
      out.scored.push_back({t, t, term});
    out.scored.back().end = t + 1;
    if (!text.weight.empty()) out.weight.push_back(text.weight[static_cast<std::size_t>(t)]);
  }
  out.tokens = std::move(text.ids);
  return out;
}

Instructions instructions_for(const SpanBuilder& builder) {
  return builder.has_template() ? Instructions::as_messages : Instructions::as_text;
}

/// Encodes, cuts, and keeps where there is something to learn.
class Tokeniser {
 public:
  Tokeniser(const SpanBuilder& builder, const SupervisedOptions& options)
      : builder_(builder), encode_(builder, options), options_(options) {}

  void add(const Demonstration& source, SupervisedData& data, std::vector<float> grade = {}) const {
    Learnt text = encode_(source);
    const auto size = static_cast<std::int64_t>(text.ids.size());
    truncate(text, options_.length);
    std::string asked = std::move(text.asked);
    Sequence sequence = sequence_of(std::move(text));
    if (sequence.scored.empty())
      return data.skipped.add("no token to learn, or none left after max_length", source.place);
    sequence.grade = std::move(grade);
    data.texts.push_back({std::move(sequence), size, source.place, std::move(asked),
                          is_bare(source.prompt, builder_, options_.length)});
  }

 private:
  const SpanBuilder& builder_;
  Encoder encode_;
  const SupervisedOptions& options_;
};

std::int64_t truncated(const SupervisedData& data) {
  return std::ranges::count_if(data.texts,
                               [](const auto& text) { return text.size > std::ssize(text.sequence.tokens); });
}

std::int64_t longest(const SupervisedData& data) {
  std::int64_t longest = 0;
  for (const TokenisedText& text : data.texts) longest = std::max(longest, text.size);
  return longest;
}

std::int64_t learnt(const Sequence& sequence) {
  std::int64_t count = 0;
  for (const ScoredRange& range : sequence.scored) count += range.end - range.begin;
  return count;
}

std::string fingerprint(const std::vector<TokenisedText>& texts) {
  Sha256 hash;
  for (const TokenisedText& text : texts) {
    const Sequence& sequence = text.sequence;
    hash.add(std::as_bytes(std::span(sequence.tokens)));
    for (const ScoredRange& range : sequence.scored) {
      hash.add(std::as_bytes(std::span(&range.begin, 2)));
      if (range.term == Term::prompt) hash.add("prompt");
    }
    hash.add(std::as_bytes(std::span(sequence.grade)));
    hash.add(std::as_bytes(std::span(sequence.weight)));
    hash.add("|");
  }
  return hash.hex();
}

/// Where one text of a batch has weights, all need them.
void spread_weights(std::vector<Record>& records) {
  const auto weighted = [](const Record& record) { return !record.front().weight.empty(); };
  if (std::ranges::none_of(records, weighted)) return;
  for (Record& record : records) {
    Sequence& text = record.front();
    if (text.weight.empty()) text.weight.resize(static_cast<std::size_t>(learnt(text)), 1);
  }
}

}  // namespace

void SupervisedOptions::describe(Fields& f) {
  f("loss_on", loss_on,
    "tokens to learn; auto: a record's completion, a conversation's turns of the assistant, all of a text",
    one_of({"auto", "completion", "assistant", "last", "all"}));
  length.describe(f);
}

SupervisedData load_demonstrations(Fs& fs, const std::string& path, const SpanBuilder& builder,
                                   const SupervisedOptions& options, OnBad on_bad) {
  SupervisedData data;
  const Tokeniser tokeniser(builder, options);
  read_records(fs, path, on_bad, data.skipped, [&](const Json& record) {
    const Demonstration source = demonstration_from_json(record, instructions_for(builder));
    placed_at(record, [&] { tokeniser.add(source, data); });
  });
  return data;
}

SupervisedData load_judged(Fs& fs, const std::string& path, const SpanBuilder& builder,
                           const LengthOptions& length, OnBad on_bad) {
  const SupervisedOptions options{.loss_on = "completion", .length = length};
  SupervisedData data{.noun = "answer"};
  const Tokeniser tokeniser(builder, options);
  read_records(fs, path, on_bad, data.skipped, [&](const Json& record) {
    const JudgedAnswer source = judged_from_json(record, instructions_for(builder));
    placed_at(record, [&] { tokeniser.add(source.answer, data, {source.good ? 1.0F : 0.0F}); });
  });
  return data;
}

void check_trainable(const SupervisedData& data, const LengthOptions& options, const std::string& name) {
  const std::string skipped = data.skipped.text();
  if (data.texts.empty())
    fail(name, ": no ", data.noun, " to train on", skipped.empty() ? "" : "; ", skipped);
  if (truncated(data) == std::ssize(data.texts))
    fail(name, ": every ", data.noun, " was truncated to max_length ", options.max_length,
         "; the longest has ", longest(data), " tokens");
}

void leave_out(SupervisedData& data, std::span<const std::size_t> places, const std::string& reason) {
  leave_out(data.texts, data.skipped, places, reason);
}

Dataset as_dataset(SupervisedData data) {
  Dataset out{.fingerprint = fingerprint(data.texts), .skipped = std::move(data.skipped)};
  std::int64_t tokens = 0, to_learn = 0;
  for (const TokenisedText& text : data.texts) {
    tokens += std::ssize(text.sequence.tokens);
    to_learn += learnt(text.sequence);
  }
  out.counts = std::to_string(data.texts.size()) + " texts of " + std::to_string(tokens) + " tokens, " +
               std::to_string(to_learn) + " of them to learn; the longest text " +
               std::to_string(longest(data)) + " tokens";
  if (const auto bare = std::ranges::count_if(data.texts, &TokenisedText::bare); bare > 0)
    out.counts += ", " + std::to_string(bare) + " of plain text, without the chat template that messages get";
  if (const std::int64_t cut = truncated(data); cut > 0) {
    out.counts += ", " + std::to_string(cut) + " texts truncated";
    out.noted.emplace_back("texts truncated", cut);
  }
  for (TokenisedText& text : data.texts) {
    out.records.push_back({std::move(text.sequence)});
    out.asked.push_back(std::move(text.asked));
  }
  spread_weights(out.records);
  return out;
}

}  // namespace prefer
