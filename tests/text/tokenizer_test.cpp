// Tokenizers against the ids of Hugging Face tokenizers, sentencepiece and llama.cpp, and their own promises.
#include "prefer/text/tokenizer.hpp"

#include "prefer/core/fs.hpp"
#include "prefer/core/json.hpp"
#include "prefer/text/utf8.hpp"
#include "support/data.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>

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

std::vector<std::string> golden_texts(const Json& json) {
  std::vector<std::string> texts;
  for (const Json& text : json.at("texts").as_array()) texts.push_back(text.as_string());
  return texts;
}

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

TEST(Tokenizer, GivesGpt2sIdsOfAFrenchText) {
  PREFER_NEEDS(shared_data("tokenizers"));
  const Json json = json_of(shared_data("tokenizers/golden-hf/gpt2_encoded_tokens.json"));
  const auto tokenizer = load("tokenizers/gpt2/tokenizer.json");
  const Ids ids = ids_of(json.at("token_ids"));
  EXPECT_EQ(tokenizer->encode(json.at("text").as_string(), Specials::recognise), ids);
  EXPECT_EQ(tokenizer->decode(ids), json.at("decoded_text").as_string());
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
    if (text.empty() || text == "\u2581") continue;  // a lone U+2581 is white space to sentencepiece
    EXPECT_EQ(json->encode(text, Specials::plain), model->encode(text, Specials::plain)) << quote(text);
    const Ids ids = json->encode(text, Specials::plain);
    EXPECT_EQ(json->decode(ids), model->decode(ids));
  }
}

}  // namespace
}  // namespace prefer
