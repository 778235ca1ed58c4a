// Texts in parts: the ids of the whole text, and of each token the parts whose bytes it has.
#include "prefer/text/spans.hpp"
#include "prefer/text/tokenizer.hpp"
#include "prefer/text/utf8.hpp"
#include "src/text/tokenizer_steps.hpp"
#include "src/text/tokenizer_unicode.hpp"
#include "support/data.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace prefer {
namespace {

using testing::shared_data;
using Ids = std::vector<std::int32_t>;
using Random = std::mt19937;

constexpr const char* kStoriesJson = "models/stories260K/hf/tokenizer.json";
constexpr const char* kStoriesModel = "models/stories260K/hf/tokenizer.model";
constexpr const char* kMistralModel = "tokenizers/mistral/tokenizer.model.v1";
// Of nfkc, and without white space at the ends and twice: the one that drops text.
constexpr const char* kUnigramModel = "tokenizers/sentencepiece/test_model.model";

const char* const kModels[] = {kStoriesModel, kMistralModel, kUnigramModel};
const char* const kAll[] = {"golden/llama3.json",
                            "golden/qwen2.json",
                            "tokenizers/gpt2/tokenizer.json",
                            "tokenizers/llama.cpp/ggml-vocab-phi-3.gguf",
                            kStoriesJson,
                            kStoriesModel,
                            kMistralModel,
                            kUnigramModel};

std::filesystem::path path_of(const std::string& name) {
  return name.starts_with("golden/") ? testing::golden("tokenizers/" + name.substr(7)) : shared_data(name);
}

std::shared_ptr<const Tokenizer> load(const std::string& name) {
  return load_tokenizer(path_of(name).string());
}

const std::vector<std::string> kBits = {"</s>",    "<s>",        " ",      "\n",       "  a",
                                        "the cat", "I am fine.", "\u00e9", "e\u0301",  "\u65e5\u672c",
                                        "1234",    "\U0001F600", "<|",     "\ufb01sh", "<|im_end|>"};

struct Sample {
  std::string text;
  std::vector<TextPart> parts;
};

/// Some bits end to end. A part ends behind one of three of them, or behind each character.
Sample random_sample(Random& random, bool literal, bool each_character = false) {
  Sample sample;
  const auto end_part = [&] { sample.parts.push_back({sample.text.size(), literal}); };
  for (int i = 0; i < 12; ++i) {
    utf8::for_each(kBits[random() % kBits.size()], [&](char32_t, std::string_view character) {
      sample.text += character;
      if (each_character) end_part();
    });
    if (!each_character && random() % 3 == 0) end_part();
  }
  if (sample.parts.empty() || sample.parts.back().end < sample.text.size()) end_part();
  return sample;
}

Ids ids_of(const std::vector<PartToken>& tokens) {
  Ids ids;
  for (const PartToken& token : tokens) ids.push_back(token.id);
  return ids;
}

TEST(TokenizerParts, ChangeNoIds) {
  for (const char* name : kAll) {
    PREFER_NEEDS(path_of(name));
    const auto tokenizer = load(name);
    Random random(7);
    for (int round = 0; round < 300; ++round)
      for (const Specials specials : {Specials::recognise, Specials::plain}) {
        const Sample sample = random_sample(random, specials == Specials::recognise, round % 2 == 1);
        EXPECT_EQ(ids_of(tokenizer->encode(sample.text, sample.parts)),
                  tokenizer->encode(sample.text, specials))
            << name << ": " << sample.text;
      }
  }
}

bool is_space(std::string_view text) { return text.find_first_not_of(" \n") == std::string_view::npos; }

/// The characters, each a part, are covered from the first to the last; `drops`: but for white space.
void expect_covered(const Sample& sample, const std::vector<PartToken>& tokens, bool drops) {
  std::size_t next = 0;  // the first part that no token has had
  const auto expect_up_to = [&](std::size_t part) {
    if (part <= next) return;
    const std::size_t begin = next == 0 ? 0 : sample.parts[next - 1].end;
    const std::string_view gap =
        std::string_view(sample.text).substr(begin, sample.parts[part - 1].end - begin);
    EXPECT_TRUE(drops && is_space(gap)) << "no token has '" << gap << "' of '" << sample.text << "'";
  };
  for (const PartToken& token : tokens) {
    ASSERT_LE(token.first, token.last);
    ASSERT_LT(token.last, sample.parts.size());
    EXPECT_GE(token.first + 1, next) << sample.text;
    expect_up_to(token.first);
    next = std::max<std::size_t>(next, token.last + 1);
  }
  expect_up_to(sample.parts.size());
}

TEST(TokenizerParts, TokensCoverAllBytesInOrder) {
  for (const char* name : kAll) {
    PREFER_NEEDS(path_of(name));
    SCOPED_TRACE(name);
    const auto tokenizer = load(name);
    Random random(11);
    for (int round = 0; round < 300; ++round) {
      const Sample sample = random_sample(random, round % 2 == 0, true);
      expect_covered(sample, tokenizer->encode(sample.text, sample.parts, round % 3 == 0),
                     name == std::string(kUnigramModel));
    }
  }
}

/// What sentencepiece says of the bytes of its tokens is what the steps of tokenizer.json come to.
TEST(TokenizerParts, TheTwoFormsOfStories260KAgree) {
  PREFER_NEEDS(path_of(kStoriesModel));
  const auto json = load(kStoriesJson), model = load(kStoriesModel);
  Random random(13);
  for (int round = 0; round < 600; ++round) {
    const Sample sample = random_sample(random, round % 2 == 0, round % 4 < 2);
    const bool continues = round % 3 == 0;
    const auto wanted = json->encode(sample.text, sample.parts, continues);
    const auto tokens = model->encode(sample.text, sample.parts, continues);
    ASSERT_EQ(ids_of(tokens), ids_of(wanted)) << sample.text;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      EXPECT_EQ(tokens[i].first, wanted[i].first) << "token " << i << " of " << sample.text;
      EXPECT_EQ(tokens[i].last, wanted[i].last) << "token " << i << " of " << sample.text;
    }
  }
}

// A long run of one unknown character is shown to sentencepiece in part.
TEST(TokenizerParts, CoverLongRunsOfUnknownCharacters) {
  PREFER_NEEDS(path_of(kUnigramModel));
  const auto tokenizer = load(kUnigramModel);
  Sample sample;
  for (const char* character : {"a", "\u65e5", "b", "\u672c", "c"})
    for (int i = 0; i < 200; ++i) sample.parts.push_back({(sample.text += character).size(), false});
  const auto tokens = tokenizer->encode(sample.text, sample.parts);
  expect_covered(sample, tokens, false);
  std::vector<std::pair<std::size_t, std::size_t>> unknown;
  for (const PartToken& token : tokens)
    if (token.id == tokenizer->unk()) unknown.emplace_back(token.first, token.last);
  EXPECT_EQ(unknown, (std::vector<std::pair<std::size_t, std::size_t>>{{200, 399}, {600, 799}}));
}

constexpr const char* kTemplate = R"({% for m in messages %}{{ '\n<|' + m.role + '|>\n' }}{{ m.content }})"
                                  R"({% if m.role == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %})";
const std::vector<Message> kChat = {{"user", "How are you?"},
                                    {"assistant", "I am fine, and the cat is too."},
                                    {"user", "What did you see?"},
                                    {"assistant", "The garden."}};

std::string text_of(const SpanBuilder& builder, const TokenSpans& spans, std::int32_t message) {
  Ids ids;
  for (std::size_t i = 0; i < spans.ids.size(); ++i)
    if (spans.message[i] == message) ids.push_back(spans.ids[i]);
  return builder.tokenizer().decode(ids);
}

TEST(TokenizerParts, TheMaskOfASentencePieceModelsChatIsTheAnswersAndTheirEnds) {
  for (const char* name : kModels) {
    PREFER_NEEDS(path_of(name));
    SCOPED_TRACE(name);
    const SpanBuilder builder(load(name), ChatTemplate(kTemplate));
    const TokenSpans out = builder.chat(kChat);
    for (std::size_t m = 0; m < kChat.size(); ++m)
      EXPECT_EQ(text_of(builder, out, static_cast<std::int32_t>(m)), kChat[m].content);
    int ends = 0;
    for (std::size_t i = 0; i < out.ids.size(); ++i) {
      const bool end = out.ids[i] == builder.tokenizer().eos();
      ends += end;
      EXPECT_EQ(out.supervised[i], end || out.roles[i] == Role::assistant) << "token " << i;
    }
    EXPECT_EQ(ends, 2);
  }
}

TEST(TokenizerParts, TheTwoFormsOfStories260KMaskAlike) {
  PREFER_NEEDS(path_of(kStoriesModel));
  const TokenSpans json = SpanBuilder(load(kStoriesJson), ChatTemplate(kTemplate)).chat(kChat);
  const TokenSpans model = SpanBuilder(load(kStoriesModel), ChatTemplate(kTemplate)).chat(kChat);
  EXPECT_EQ(model.ids, json.ids);
  EXPECT_EQ(model.message, json.message);
  EXPECT_EQ(model.supervised, json.supervised);
}

TEST(TokenizerParts, ATextThatGoesOnHasNoSpacePutInFront) {
  const std::pair<std::string, std::string> pairs[] = {{"Once upon a", "bout"},
                                                       {"Once upon", " a time"},
                                                       {"The gar", "den is here"},
                                                       {"The garden", ", the cat"}};
  for (const char* name : {kStoriesJson, kStoriesModel, kMistralModel, kUnigramModel}) {
    PREFER_NEEDS(path_of(name));
    SCOPED_TRACE(name);
    const auto tokenizer = load(name);
    for (const auto& [before, after] : pairs) {
      const TextPart part{after.size(), false};
      const Ids more = ids_of(tokenizer->encode(after, std::span(&part, 1), true));
      Ids all = tokenizer->encode(before, Specials::plain);
      all.insert(all.end(), more.begin(), more.end());
      EXPECT_EQ(tokenizer->decode(all), before + after);
      ASSERT_FALSE(more.empty());
      EXPECT_EQ(tokenizer->token(more.front()).starts_with("\u2581"), after.starts_with(" "));
      const TokenisedCompletion answer = SpanBuilder(tokenizer).answer(before, after);
      all = answer.prompt;
      all.insert(all.end(), answer.completion.begin(), answer.completion.end());
      EXPECT_EQ(tokenizer->decode(all, true), before + after);
    }
  }
}

std::string random_text(Random& random, const std::vector<std::string>& characters) {
  std::string text;
  for (int i = 0; i < 12; ++i) text += characters[random() % characters.size()];
  return text;
}

/// Behind every character but the last.
text::Offsets between_characters(const std::string& text) {
  text::Offsets offsets;
  std::size_t at = 0;
  utf8::for_each(text,
                 [&](char32_t, std::string_view character) { offsets.push_back(at += character.size()); });
  offsets.pop_back();
  return offsets;
}

TEST(TokenizerSteps, CarryOffsetsToWhereTheTextUpToThemEnds) {
  const auto always = text::Prefix::When::always;
  const std::vector<text::Rewrite> rewrites = {text::Lowercase{}, text::Nfc{},
                                               text::Substitute{text::Pattern::literal(" "), "\u2581"},
                                               text::Prefix{"\u2581", always, false}, text::ByteLetters{}};
  const std::vector<text::PreStep> steps = {
      text::Cut{text::Pattern::literal(" "), text::Cut::Behavior::removed}, text::Prefix{"_", always, true},
      text::Cut{text::Pattern::literal("A"), text::Cut::Behavior::merged_with_next},
      text::Rewrite(text::ByteLetters{})};
  Random random(17);
  for (int round = 0; round < 200; ++round) {
    const std::string text =
        random_text(random, {"A", "b", " ", "\u00e9", "\u0130", "\u212b", "\u65e5", "\ud55c", "\U0001F600"});
    const text::Offsets offsets = between_characters(text);
    text::Offsets normal = offsets, cut = offsets;
    EXPECT_EQ(text::normalised(rewrites, text, true, normal), text::normalised(rewrites, text, true));
    EXPECT_EQ(text::pre_tokenized(steps, text, true, cut).text, text::pre_tokenized(steps, text, true).text);
    for (std::size_t i = 0; i < offsets.size(); ++i) {
      const std::string head = text.substr(0, offsets[i]);
      EXPECT_EQ(normal[i], text::normalised(rewrites, head, true).size()) << text << ", " << offsets[i];
      EXPECT_EQ(cut[i], text::pre_tokenized(steps, head, true).text.size()) << text << ", " << offsets[i];
    }
  }
}

// Letters, marks that reorder, Hangul by its letters, characters that are never composed again.
TEST(TokenizerSteps, OffsetsChangeNoComposition) {
  Random random(19);
  for (int round = 0; round < 2000; ++round) {
    const std::string text =
        random_text(random, {"e", "a", " ", "\u00e9", "\u0301", "\u0323", "\u0344", "\u1112", "\u1161",
                             "\u11ab", "\uac00", "\u0f73", "\u09c7", "\u09be", "\u2126"});
    text::Offsets offsets = between_characters(text);
    const std::string normal = text::normalised({text::Nfc{}}, text, true, offsets);
    EXPECT_EQ(normal, text::unicode::nfc(text));
    EXPECT_TRUE(std::ranges::is_sorted(offsets));
    EXPECT_LE(offsets.back(), normal.size());
  }
}

// Tokenizers that put a space in front put one behind a control token too, also where the prompt was
// rewritten.
TEST(TokenizerParts, AnAnswerHasItsTokensWhetherOrNotTheTemplateRewritesThePrompt) {
  const std::pair<const char*, std::string> cases[] = {
      {"tokenizers/llama.cpp/ggml-vocab-phi-3.gguf", "<|end|>"},
      {kStoriesModel, "</s>"},
      {kMistralModel, "</s>"}};
  for (const auto& [name, end] : cases) {
    PREFER_NEEDS(path_of(name));
    SCOPED_TRACE(name);
    const SpanBuilder spans(
        load(name),
        ChatTemplate(
            "{% for m in messages %}{% if m.role == 'user' %}"
            "{{ messages[0].content + ' ' if loop.last and messages[0].role == 'system' }}{{ m.content }}" +
            end + "{% elif m.role == 'assistant' %} {{ m.content }}" + end + "{% endif %}{% endfor %}"));
    const std::vector<Message> plain = {{"user", "Hi"}}, told = {{"system", "Be kind."}, {"user", "Hi"}};
    const std::vector<Message> turns = {{"assistant", "Hello"}, {"user", "And?"}, {"assistant", "Bye"}};
    const TokenisedCompletion kept = spans.answer(plain, turns), rewritten = spans.answer(told, turns);
    EXPECT_FALSE(kept.rewritten);
    EXPECT_TRUE(rewritten.rewritten);
    EXPECT_EQ(rewritten.completion, kept.completion);
    EXPECT_EQ(rewritten.end, kept.end);
  }
}

}  // namespace
}  // namespace prefer
