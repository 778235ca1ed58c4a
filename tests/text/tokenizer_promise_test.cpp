// What a tokenizer promises whatever the text: round trips, linear time, no forged tokens, no crash.
#include "prefer/text/tokenizer.hpp"
#include "prefer/text/utf8.hpp"
#include "support/data.hpp"
#include "support/sanitized.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <future>
#include <random>

namespace prefer {
namespace {

using testing::shared_data;
using Ids = std::vector<std::int32_t>;
using Random = std::mt19937;

const char* const kAll[] = {
    "tokenizers/smollm2/tokenizer.json",          "tokenizers/gpt2/tokenizer.json",
    "models/stories260K/hf/tokenizer.json",       "models/stories260K/hf/tokenizer.model",
    "tokenizers/sentencepiece/test_model.model",  "tokenizers/mistral/tokenizer.model.v1",
    "tokenizers/llama.cpp/ggml-vocab-gpt-2.gguf", "tokenizers/llama.cpp/ggml-vocab-phi-3.gguf"};

std::shared_ptr<const Tokenizer> load(const char* shared) {
  return load_tokenizer(shared_data(shared).string());
}

std::size_t below(Random& random, std::size_t n) { return random() % n; }

// Any scalar value, the lower planes more often.
std::string random_text(Random& random, std::size_t length) {
  std::string text;
  for (std::size_t i = 0; i < length; ++i) {
    const char32_t limits[] = {0x80, 0x300, 0x3000, 0x10000, 0x110000};
    char32_t code = static_cast<char32_t>(below(random, limits[below(random, 5)]));
    if (code >= 0xD800 && code < 0xE000) code = ' ';
    utf8::append(text, code);
  }
  return text;
}

TEST(TokenizerPromise, PlainTextNeverYieldsASpecialToken) {
  PREFER_NEEDS(shared_data("tokenizers"));
  for (const char* path : kAll) {
    const auto tokenizer = load(path);
    std::vector<std::string> parts = {" ", "a", "<", ">", "|", "\n", "\u2581", "s>", "<|", "Hello"};
    for (std::int32_t id = 0; id < tokenizer->vocab_size(); ++id)
      if (tokenizer->is_special(id)) parts.push_back(tokenizer->token(id));
    ASSERT_GT(parts.size(), 10u) << path;
    Random random(11);
    for (int i = 0; i < 2000; ++i) {
      std::string text;
      for (std::size_t n = below(random, 8); n-- > 0;) text += parts[below(random, parts.size())];
      for (const std::int32_t id : tokenizer->encode(text, Specials::plain))
        EXPECT_TRUE(id == tokenizer->unk() || !tokenizer->is_special(id))
            << path << ": " << text << " gives " << id;
    }
  }
}

TEST(TokenizerPromise, RecognisesEverySpecialToken) {
  PREFER_NEEDS(shared_data("tokenizers"));
  for (const char* path : kAll) {
    const auto tokenizer = load(path);
    for (std::int32_t id = 0; id < tokenizer->vocab_size(); ++id)
      if (tokenizer->is_special(id)) {
        const Ids ids = tokenizer->encode("a" + tokenizer->token(id) + "b", Specials::recognise);
        EXPECT_EQ(std::ranges::count(ids, id), 1) << path << " " << tokenizer->token(id);
        EXPECT_EQ(tokenizer->decode(Ids{id}, true), "");
      }
  }
}

TEST(TokenizerPromise, ReadsBrokenUtf8AsReplacementCharacters) {
  PREFER_NEEDS(shared_data("tokenizers"));
  for (const char* path : kAll) {
    const auto tokenizer = load(path);
    Random random(13);
    for (int i = 0; i < 500; ++i) {
      std::string bytes;
      for (std::size_t n = below(random, 30); n-- > 0;) bytes.push_back(static_cast<char>(random()));
      const Ids ids = tokenizer->encode(bytes, Specials::recognise);
      EXPECT_EQ(ids, tokenizer->encode(utf8::mended(bytes), Specials::recognise));
      EXPECT_TRUE(utf8::is_valid(tokenizer->decode(ids)));
    }
  }
}

// The examples of The Unicode Standard 15, table 3-8, and Python's decode(errors="replace").
TEST(TokenizerPromise, MendsAsUnicodeAdvises) {
  EXPECT_EQ(utf8::mended("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"),
            "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA");
  EXPECT_EQ(utf8::mended("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), "\uFFFD\uFFFD\uFFFD\uFFFDA");
  EXPECT_EQ(utf8::mended("\xED\xA0\x80\xF4\x91\x92\x93\xFF\x41"),
            "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA");
  EXPECT_EQ(utf8::mended("\xF0\x9F\x98"), "\uFFFD");
  EXPECT_EQ(utf8::mended("a\u00e9\U0001F600"), "a\u00e9\U0001F600");
}

double seconds_to_encode(const Tokenizer& tokenizer, const std::string& character, std::size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += character;
  const std::clock_t start = std::clock();
  EXPECT_LE(tokenizer.encode(text, Specials::recognise).size(), text.size() + 1);  // 1: a space put in front
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

// A part ends behind each bit.
double seconds_to_encode_parts(const Tokenizer& tokenizer, const std::string& bit, std::size_t bytes) {
  std::string text;
  std::vector<TextPart> parts;
  while (text.size() < bytes) parts.push_back({(text += bit).size(), parts.size() % 2 == 0});
  const std::clock_t start = std::clock();
  EXPECT_LE(tokenizer.encode(text, parts).size(), text.size() + 1);
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

constexpr std::size_t kBytes = testing::kSanitized ? 1 << 17 : 1 << 20;  // as much time with sanitizers

// Of 32 times the text, the least of three times each: linear time takes 32 times as long, and up to three
// times that by what a text that leaves the caches and the logarithm of a heap add (sentencepiece beside
// another test: 2.7 times); quadratic time takes 1,024 times as long.
template <class Seconds>
void expect_linear(const Seconds& seconds, std::size_t bytes, const std::string& what) {
  double part = 1e30, whole = 1e30;
  for (int tries = 0; tries < 3 && (tries == 0 || whole >= 128 * part); ++tries) {
    part = std::min(part, seconds(bytes / 32));
    whole = std::min(whole, seconds(bytes));
  }
  EXPECT_LT(whole, 128 * part) << what;
}

void expect_linear_on_runs(const Tokenizer& tokenizer, const std::string& name,
                           const std::vector<std::string>& runs_of) {
  for (const std::string& character : runs_of)
    expect_linear([&](std::size_t bytes) { return seconds_to_encode(tokenizer, character, bytes); }, kBytes,
                  name + ": " + character);
}

// Bits that are tokens, that merge over a border, that are composed over it.
void expect_linear_in_parts(const Tokenizer& tokenizer, const std::string& name) {
  for (const char* bit : {R"("type": )", "a", " the cat", "\u65e5\u672c", "\u0301"})
    expect_linear([&](std::size_t bytes) { return seconds_to_encode_parts(tokenizer, bit, bytes); },
                  kBytes / 4, name + ", parts of " + bit);
}

const std::vector<std::string> kRunsOf = {"a", " ", "\n", "\u4e2d", "\u00e9", "\U0001F600", "7", "<"};

TEST(TokenizerPromise, TakesLinearTimeOnRunsOfOneCharacter) {
  const auto expect = [](const std::string& name, const std::vector<std::string>& runs_of) {
    expect_linear_on_runs(*load_tokenizer(testing::golden("tokenizers/" + name).string()), name, runs_of);
  };
  expect("llama3.json", kRunsOf);
  expect("qwen2.json", {"7", "\u0301", "e\u0301", "\u0301\u0323"});  // NFC composes and reorders
}

// One of each kind: byte-level, by merges and by scores with byte fallback, and by the sentencepiece library.
TEST(TokenizerPromise, RealTokenizersTakeLinearTimeOnRunsOfOneCharacter) {
  PREFER_NEEDS(shared_data("tokenizers"));
  for (const char* path :
       {"tokenizers/gpt2/tokenizer.json", "tokenizers/smollm2/tokenizer.json",
        "models/stories260K/hf/tokenizer.json", "tokenizers/llama.cpp/ggml-vocab-phi-3.gguf",
        "tokenizers/mistral/tokenizer.model.v1", "tokenizers/sentencepiece/test_model.model"})
    expect_linear_on_runs(*load(path), path, kRunsOf);
}

TEST(TokenizerPromise, TakesLinearTimeInTheNumberOfParts) {
  for (const char* name : {"llama3.json", "qwen2.json"})
    expect_linear_in_parts(*load_tokenizer(testing::golden(std::string("tokenizers/") + name).string()),
                           name);
}

TEST(TokenizerPromise, RealTokenizersTakeLinearTimeInTheNumberOfParts) {
  PREFER_NEEDS(shared_data("tokenizers"));
  for (const char* path :
       {"tokenizers/gpt2/tokenizer.json", "models/stories260K/hf/tokenizer.json",
        "models/stories260K/hf/tokenizer.model", "tokenizers/llama.cpp/ggml-vocab-phi-3.gguf"})
    expect_linear_in_parts(*load(path), path);
}

TEST(TokenizerPromise, ServesManyThreads) {
  PREFER_NEEDS(shared_data("tokenizers"));
  const auto tokenizer = load(kAll[0]);
  Random random(17);
  const std::string text = random_text(random, 2000);
  const Ids wanted = tokenizer->encode(text, Specials::plain);
  std::vector<std::future<Ids>> others;
  for (int i = 0; i < 4; ++i)
    others.push_back(
        std::async(std::launch::async, [&] { return tokenizer->encode(text, Specials::plain); }));
  for (auto& other : others) EXPECT_EQ(other.get(), wanted);
}

TEST(TokenizerPromise, StreamsWholeCodePoints) {
  PREFER_NEEDS(shared_data("tokenizers"));
  for (const char* path : kAll) {
    const auto tokenizer = load(path);
    Random random(19);
    for (int i = 0; i < 300; ++i) {
      Ids ids;
      for (std::size_t n = below(random, 12); n-- > 0;)
        ids.push_back(
            static_cast<std::int32_t>(below(random, static_cast<std::size_t>(tokenizer->vocab_size()))));
      StreamDecoder decoder(tokenizer);
      std::string text;
      for (const std::int32_t id : ids) {
        const std::string piece = decoder.feed(id);
        EXPECT_TRUE(utf8::is_valid(piece)) << path;
        text += piece;
      }
      text += decoder.flush();
      EXPECT_EQ(text, tokenizer->decode(ids)) << path;
    }
  }
}

}  // namespace
}  // namespace prefer
