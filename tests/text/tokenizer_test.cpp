// Tokenizers against the ids of Hugging Face tokenizers, sentencepiece and llama.cpp, and their own promises.
#include "prefer/text/tokenizer.hpp"

#include "prefer/core/fs.hpp"
#include "prefer/core/json.hpp"
#include "prefer/text/utf8.hpp"
#include "support/data.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <sstream>

namespace prefer {
namespace {

using testing::golden;
using testing::shared_data;
using Ids = std::vector<std::int32_t>;

std::string bytes_of(const std::filesystem::path& path) {
  PosixFs fs;
  return read_file(fs, path.string(), 64 << 20);
}

Json json_of(const std::filesystem::path& path) { return parse_json(bytes_of(path), path.string()); }

Ids ids_of(const Json& json) {
  Ids ids;
  for (const Json& id : json.as_array()) ids.push_back(static_cast<std::int32_t>(id.as_integer()));
  return ids;
}

std::string stream(const std::shared_ptr<const Tokenizer>& tokenizer, const Ids& ids,
                   bool skip_special = false) {
  StreamDecoder decoder(tokenizer, skip_special);
  std::string text;
  for (const std::int32_t id : ids) {
    const std::string piece = decoder.feed(id);
    EXPECT_TRUE(utf8::is_valid(piece));
    text += piece;
  }
  return text + decoder.flush();
}

std::shared_ptr<const Tokenizer> load(const std::string& shared) {
  return load_tokenizer(shared_data(shared).string());
}

// A real tokenizer.json with some of its components exchanged.
std::string patched(const std::string& base, const Json& patch) {
  Json json = json_of(shared_data(base));
  for (const auto& [key, value] : patch.as_object()) {
    if (key != "model") {
      json.set(key, value);
      continue;
    }
    for (auto& [name, member] : json.as_object())
      if (name == "model")
        for (const auto& [field, setting] : value.as_object()) member.set(field, setting);
  }
  return dump(json);
}

void expect_variant(const Json& variant, const std::vector<std::string>& texts) {
  const std::string name = variant.at("name").as_string();
  const auto tokenizer = parse_tokenizer(patched(variant.at("base").as_string(), variant.at("patch")), name);
  const auto& wanted = variant.at("ids").as_array();
  const Json& plain = variant.at("plain");
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const std::string& text = texts[static_cast<std::size_t>(variant.at("texts").at(i).as_integer())];
    EXPECT_EQ(tokenizer->encode(text, Specials::recognise), ids_of(wanted[i])) << name << ": " << quote(text);
    const Json* other = plain.find(std::to_string(i));
    EXPECT_EQ(tokenizer->encode(text, Specials::plain), ids_of(other ? *other : wanted[i]))
        << name << ", plain: " << quote(text);
  }
  for (const Json& entry : variant.at("decoded").as_array()) {
    const Ids ids = ids_of(entry.at(std::size_t{0}));
    EXPECT_EQ(tokenizer->decode(ids), entry.at(1).as_string()) << name;
    EXPECT_EQ(tokenizer->decode(ids, true), entry.at(2).as_string()) << name;
    EXPECT_EQ(stream(tokenizer, ids), entry.at(1).as_string()) << name;
    EXPECT_EQ(stream(tokenizer, ids, true), entry.at(2).as_string()) << name;
  }
}

std::vector<std::string> strings_of(const Json& json) {
  std::vector<std::string> strings;
  for (const Json& string : json.as_array()) strings.push_back(string.as_string());
  return strings;
}

std::vector<std::string> golden_texts(const Json& json) { return strings_of(json.at("texts")); }

TEST(Tokenizer, GivesTheIdsOfHuggingFaceTokenizers) {
  PREFER_NEEDS(shared_data("tokenizers"));
  const Json json = json_of(golden("tokenizer.json"));
  const auto texts = golden_texts(json);
  for (const Json& variant : json.at("variants").as_array()) expect_variant(variant, texts);
}

TEST(Tokenizer, GivesTheIdsOfSentencePiece) {
  PREFER_NEEDS(shared_data("tokenizers"));
  const Json json = json_of(golden("tokenizer.json"));
  const auto texts = golden_texts(json);
  for (const Json& model : json.at("models").as_array()) {
    const auto tokenizer = load(model.at("path").as_string());
    for (std::size_t i = 0; i < model.at("ids").size(); ++i) {
      const std::string& text = texts[static_cast<std::size_t>(model.at("texts").at(i).as_integer())];
      EXPECT_EQ(tokenizer->encode(text, Specials::plain), ids_of(model.at("ids").at(i))) << quote(text);
    }
  }
}

std::vector<std::string> tokens_of(const Tokenizer& tokenizer, const Ids& ids) {
  std::vector<std::string> tokens;
  for (const std::int32_t id : ids) tokens.push_back(tokenizer.token(id));
  return tokens;
}

// golden-hf: what Hugging Face's tokenizers give, where the tokenizer is at hand. Phi-3 has Llama 2's tokens
// and more.
TEST(Tokenizer, GivesTheIdsOfAFrenchText) {
  PREFER_NEEDS(shared_data("tokenizers/golden-hf"));
  const std::pair<const char*, const char*> files[] = {
      {"gpt2_encoded_tokens.json", "tokenizers/gpt2/tokenizer.json"},
      {"llama_encoded.json", "tokenizers/llama.cpp/ggml-vocab-phi-3.gguf"}};
  for (const auto& [file, model] : files) {
    const Json json = json_of(shared_data("tokenizers/golden-hf") / file);
    const auto tokenizer = load(model);
    const Ids wanted = ids_of(json.at("token_ids"));
    Ids ids = tokenizer->encode(json.at("text").as_string(), Specials::plain);
    EXPECT_EQ(tokens_of(*tokenizer, ids), strings_of(json.at("bpe_tokens"))) << file;
    if (tokenizer->adds_bos()) ids.insert(ids.begin(), *tokenizer->bos());
    EXPECT_EQ(ids, wanted) << file;
    EXPECT_EQ(tokenizer->decode(wanted), json.at("decoded_text").as_string()) << file;
  }
}

/// What transformers' clean_up_tokenization_spaces makes of a decoded text.
std::string cleaned_up(std::string text) {
  constexpr std::pair<std::string_view, std::string_view> changes[] = {
      {" .", "."},     {" ?", "?"},   {" !", "!"},   {" ,", ","},     {" ' ", "'"},
      {" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : changes)
    for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
      text.replace(at, from.size(), to);
  return text;
}

struct Published {
  const char* name;           // in tokenizer_tests.json
  const char* model;          // whose ids it shares
  std::size_t before, after;  // ids which it puts around a text
  std::string unknown;        // what those before it are, where the model does not have them
  bool cleans_up;
};

// DistilGPT2 has GPT-2's tokens, as have Whisper's English models but for those around a text; transformers
// cleans up spaces after decoding with these two, and not with Llama 2.
TEST(Tokenizer, GivesTheIdsAndTextsOfPublishedModels) {
  PREFER_NEEDS(shared_data("tokenizers/golden-hf"));
  const char* const gpt2 =
      "tokenizers/llama.cpp/ggml-vocab-gpt-2.gguf";  // tokenizer.json has runs of spaces besides
  const char* const phi3 = "tokenizers/llama.cpp/ggml-vocab-phi-3.gguf";
  const Json json = json_of(shared_data("tokenizers/golden-hf/tokenizer_tests.json"));
  for (const auto& [name, model, before, after, unknown, cleans_up] :
       {Published{"distilgpt2", gpt2, 0, 0, "", true},
        Published{"openai/whisper-tiny.en", gpt2, 2, 1, "<|startoftranscript|><|notimestamps|>", true},
        Published{"coreml-projects/Llama-2-7b-chat-coreml", phi3, 1, 0, "", false}}) {
    const auto tokenizer = load(model);
    EXPECT_EQ(json.at(name).size(), 18u);
    for (const Json& vector : json.at(name).as_array()) {
      const std::string& text = vector.at("input").as_string();
      const Ids all = ids_of(vector.at("encoded").at("input_ids"));
      const Ids ids(all.begin() + static_cast<std::ptrdiff_t>(before),
                    all.end() - static_cast<std::ptrdiff_t>(after));
      EXPECT_EQ(tokenizer->encode(text, Specials::plain), ids) << name << ": " << quote(text);
      EXPECT_EQ(tokenizer->decode(ids), text) << name;
      EXPECT_EQ(stream(tokenizer, ids), text) << name;
      const Ids known(all.begin() + static_cast<std::ptrdiff_t>(unknown.empty() ? 0 : before), all.end());
      const std::string with = unknown + tokenizer->decode(known), without = tokenizer->decode(known, true);
      EXPECT_EQ(cleans_up ? cleaned_up(with) : with, vector.at("decoded_with_special").as_string()) << name;
      EXPECT_EQ(cleans_up ? cleaned_up(without) : without, vector.at("decoded_without_special").as_string())
          << name;
    }
  }
}

TEST(Tokenizer, TheTwoFormsOfStories260KAgree) {
  PREFER_NEEDS(shared_data("models/stories260K"));
  const auto json = load("models/stories260K/hf/tokenizer.json");
  const auto model = load("models/stories260K/hf/tokenizer.model");
  EXPECT_EQ(json->vocab_size(), 512);
  EXPECT_EQ(json->bos(), 1);
  EXPECT_EQ(json->eos(), 2);
  EXPECT_TRUE(json->adds_bos());
  EXPECT_TRUE(model->adds_bos());
  for (const std::string& text : golden_texts(json_of(golden("tokenizer.json")))) {
    EXPECT_EQ(json->encode(text, Specials::plain), model->encode(text, Specials::plain)) << quote(text);
    const Ids ids = json->encode(text, Specials::plain);
    EXPECT_EQ(json->decode(ids), model->decode(ids));
  }
}

// llama.cpp's own vectors: texts between separators, a line of ids each.
void expect_llama_vectors(const std::string& name) {
  const auto base = shared_data("tokenizers/llama.cpp/" + name);
  const auto tokenizer = load_tokenizer(base.string());
  const std::string separator = "\n__ggml_vocab_test__\n", texts = bytes_of(base.string() + ".inp");
  std::istringstream lines(bytes_of(base.string() + ".out"));
  int count = 0;
  for (std::size_t at = 0; at < texts.size(); ++count) {
    const std::size_t end = std::min(texts.find(separator, at), texts.size());
    std::string line;
    std::getline(lines, line);
    std::istringstream numbers(line);
    const Ids wanted{std::istream_iterator<std::int32_t>(numbers), {}};
    const std::string text = texts.substr(at, end - at);
    EXPECT_EQ(tokenizer->encode(text, Specials::plain), wanted) << name << ": " << quote(text);
    at = end + separator.size();
  }
  EXPECT_EQ(count, 46);
}

TEST(Tokenizer, GivesLlamaCppsIds) {
  PREFER_NEEDS(shared_data("tokenizers/llama.cpp"));
  expect_llama_vectors("ggml-vocab-gpt-2.gguf");
  expect_llama_vectors("ggml-vocab-phi-3.gguf");
}

TEST(Tokenizer, SmolLM2sGgufIsItsTokenizerJson) {
  PREFER_NEEDS(testing::smollm2());
  PREFER_NEEDS(shared_data("tokenizers/smollm2"));
  const auto gguf = load_tokenizer(testing::smollm2().string());
  const auto json = load("tokenizers/smollm2/tokenizer.json");
  EXPECT_EQ(gguf->bos(), 1);
  EXPECT_EQ(gguf->eos(), 2);
  EXPECT_EQ(gguf->pad(), 2);
  EXPECT_FALSE(gguf->adds_bos());
  EXPECT_TRUE(gguf->chat_template().starts_with("{% for message in messages %}"));
  ASSERT_EQ(gguf->vocab_size(), json->vocab_size());
  for (std::int32_t id = 0; id < gguf->vocab_size(); ++id) {
    ASSERT_EQ(gguf->token(id), json->token(id));
    ASSERT_EQ(gguf->is_special(id), json->is_special(id));
  }
  for (const std::string& text : golden_texts(json_of(golden("tokenizer.json"))))
    for (const auto specials : {Specials::plain, Specials::recognise})
      EXPECT_EQ(gguf->encode(text, specials), json->encode(text, specials)) << quote(text);
}

// The files written for a GGUF make the same tokenizer.
TEST(Tokenizer, WritesAGgufAsHuggingFaceFiles) {
  PREFER_NEEDS(shared_data("tokenizers/llama.cpp"));
  for (const char* name : {"ggml-vocab-gpt-2.gguf", "ggml-vocab-phi-3.gguf"}) {
    const auto gguf = load(std::string("tokenizers/llama.cpp/") + name);
    const auto folder = std::filesystem::path(::testing::TempDir()) / name;
    std::filesystem::create_directories(folder);
    for (const auto& [file, bytes] : gguf->files()) std::ofstream(folder / file) << bytes;
    const auto again = load_tokenizer(folder.string());
    EXPECT_EQ(again->bos(), gguf->bos());
    EXPECT_EQ(again->eos(), gguf->eos());
    EXPECT_EQ(again->pad(), gguf->pad());
    EXPECT_EQ(again->adds_bos(), gguf->adds_bos());
    EXPECT_EQ(again->chat_template(), gguf->chat_template());
    for (const std::string& text : golden_texts(json_of(golden("tokenizer.json")))) {
      const Ids ids = gguf->encode(text, Specials::recognise);
      EXPECT_EQ(again->encode(text, Specials::recognise), ids) << name << quote(text);
      EXPECT_EQ(again->decode(ids), gguf->decode(ids));
    }
    std::filesystem::remove_all(folder);
  }
}

}  // namespace
}  // namespace prefer
