// Reading tokenizers: the files beside them, and files that are wrong or hostile.
#include "prefer/core/error.hpp"
#include "prefer/core/fs.hpp"
#include "prefer/core/json.hpp"
#include "prefer/text/json.hpp"
#include "prefer/text/tokenizer.hpp"
#include "support/data.hpp"
#include "tests/malformed/good.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace prefer {
namespace {

namespace stdfs = std::filesystem;
using Ids = std::vector<std::int32_t>;

// A tokenizer of a few tokens, with one member of the file exchanged: a JSON text.
std::string small(const std::string& member = "", const std::string& value = "") {
  Json json =
      parse_json(R"({"added_tokens": [{"id": 5, "content": "<e>", "special": true, "normalized": false}],
      "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": {"type": "Fuse"},
      "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "aba": 3, "<b>": 4},
                "merges": ["a b", ["ab", "a"]]}})",
                 "small");
  if (member.empty()) return dump(json);
  const Json changed = parse_json(value, "value");
  if (!member.starts_with("model.")) {
    json.set(member, changed);
    return dump(json);
  }
  Json model = json.at("model");
  model.set(member.substr(6), changed);
  json.set("model", model);
  return dump(json);
}

std::string refusal(const std::string& text) {
  try {
    parse_tokenizer(text, "t.json");
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(TokenizerFile, ReadsMergesAsStringsAndAsPairs) {
  const auto tokenizer = parse_tokenizer(small(), "t.json");
  EXPECT_EQ(tokenizer->encode("abaab<e>", Specials::recognise), (Ids{3, 2, 5}));
  EXPECT_EQ(tokenizer->encode("xa<e>b", Specials::plain), (Ids{2}));  // without unk_token the rest vanishes
  EXPECT_EQ(tokenizer->vocab_size(), 6);
  EXPECT_FALSE(tokenizer->adds_bos());
  EXPECT_EQ(tokenizer->files().at("tokenizer.json"), small());
}

struct Case {
  const char* member;
  const char* value;
  const char* message;
};

class TokenizerRefuses : public ::testing::TestWithParam<Case> {};

TEST_P(TokenizerRefuses, InOneLine) {
  const std::string message = refusal(small(GetParam().member, GetParam().value));
  EXPECT_NE(message.find(GetParam().message), std::string::npos) << message;
  EXPECT_TRUE(message.starts_with("t.json")) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

const Case kCases[] = {
    {"model", "3", "object"},
    {"model.vocab", "[]", "object"},
    {"model.vocab", "{}", "no token has id 0"},
    {"model.vocab", R"({"a": "0"})", "integer"},
    {"model.merges", R"(["ab"])", "one space between"},
    {"model.merges", R"([["a", "b", "ab"]])", "two tokens, not 3"},
    {"model.merges", "[7]", "array"},
    {"model.unk_token", R"("<unk>")", "unk_token \"<unk>\" is not in the vocabulary"},
    {"model.dropout", "0.1", "dropout is not implemented"},
    {"model.end_of_word_suffix", R"("</w>")", "end_of_word_suffix is not implemented"},
    {"normalizer", R"({"type": "Sequence", "normalizers": [{"type": "Precompiled"}]})",
     "normalizer \"Precompiled\""},
    {"pre_tokenizer", R"({"type": "Split", "pattern": {"String": " "}, "behavior": "Odd"})",
     "behavior \"Odd\""},
    {"post_processor", R"({"type": "BertProcessing"})",
     "post_processor \"BertProcessing\" is not implemented"},
    {"decoder", R"({"type": "WordPiece"})", "decoder \"WordPiece\" is not implemented"},
    {"added_tokens", R"([{"id": 7, "content": "<e>"}])", "no token has id 5"},
    {"added_tokens", R"([{"id": 1, "content": "<e>"}])", "share the id 1"},
    {"added_tokens", R"([{"id": 9, "content": "a"}])", "two ids, 0 and 9"},
    {"added_tokens", R"([{"id": 99999999999, "content": "z"}])", "ids are from 0"},
    {"added_tokens", R"([{"content": "z"}])", "\"id\""},
};
INSTANTIATE_TEST_SUITE_P(Cases, TokenizerRefuses, ::testing::ValuesIn(kCases));

TEST(TokenizerFile, RefusesTooLongTokens) {
  EXPECT_NE(refusal(small("added_tokens", R"([{"id": 5, "content": ")" + std::string(4097, 'x') + "\"}]"))
                .find("at most 4096"),
            std::string::npos);
}

// (a+)+[xy] needs exponentially many steps on a's with no end; the limit on steps ends it.
TEST(TokenizerFile, GivesUpOnExpressionsThatNeverEnd) {
  const auto tokenizer = parse_tokenizer(
      small("pre_tokenizer",
            R"({"type": "Split", "pattern": {"Regex": "(a+)+[xy]"}, "behavior": "Isolated"})"),
      "t.json");
  EXPECT_THROW(tokenizer->encode(std::string(64, 'a'), Specials::plain), Error);
}

class Folder {
 public:
  Folder() {
    static int made = 0;
    path_ = stdfs::path(::testing::TempDir()) /
            ("tokenizer-" + std::to_string(::getpid()) + "-" + std::to_string(made++));
    stdfs::create_directories(path_);
  }
  ~Folder() { stdfs::remove_all(path_); }
  void write(const std::string& name, const std::string& text) {
    std::ofstream(path_ / name, std::ios::binary) << text;
  }
  std::string path() const { return path_.string(); }

 private:
  stdfs::path path_;
};

TEST(TokenizerFile, ReadsTheConfigBeside) {
  Folder folder;
  folder.write("tokenizer.json", small());
  folder.write("special_tokens_map.json", R"({"pad_token": {"content": "<b>"}, "eos_token": "a"})");
  folder.write("tokenizer_config.json",
               R"({"bos_token": {"content": "<b>", "lstrip": false}, "eos_token": "<e>",
      "pad_token": null, "add_bos_token": true, "model_max_length": 1000000000000000019884624838656,
      "chat_template": [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}]})");
  const auto tokenizer = load_tokenizer(folder.path());
  EXPECT_EQ(tokenizer->bos(), 4);
  EXPECT_EQ(tokenizer->eos(), 5);
  EXPECT_EQ(tokenizer->pad(), 4);
  EXPECT_EQ(tokenizer->unk(), std::nullopt);
  EXPECT_TRUE(tokenizer->adds_bos());
  EXPECT_TRUE(tokenizer->is_special(4));  // named as BOS, so special, though tokenizer.json does not say so
  EXPECT_EQ(tokenizer->encode("<b>ab", Specials::recognise), (Ids{4, 2}));
  EXPECT_EQ(tokenizer->chat_template(), "D");
  EXPECT_EQ(tokenizer->files().size(), 3u);
}

TEST(TokenizerFile, ReadsTheAddedTokensBesideASentencePieceModel) {
  Folder folder;
  const std::string added = R"({"<|im_end|>": 10, "<|im_start|>": 9, "<think>": 11, "<s>": 1})";
  folder.write("tokenizer.model", testing::tokenizer_model());
  folder.write("added_tokens.json", added);
  folder.write("tokenizer_config.json",
               R"({"eos_token": "<|im_end|>", "additional_special_tokens": [{"content": "<|im_start|>"}]})");
  const auto tokenizer = load_tokenizer(folder.path());
  EXPECT_EQ(tokenizer->vocab_size(), 12);
  EXPECT_EQ(tokenizer->eos(), 10);
  for (const std::int32_t special : {1, 9, 10}) EXPECT_TRUE(tokenizer->is_special(special)) << special;
  EXPECT_FALSE(tokenizer->is_special(11));  // nothing names it
  EXPECT_EQ(tokenizer->encode("<|im_start|><think><|im_end|>", Specials::recognise), (Ids{9, 11, 10}));
  const Ids plain = tokenizer->encode("<|im_start|><think>", Specials::plain);
  EXPECT_EQ(plain.back(), 11);
  EXPECT_EQ(std::ranges::count(plain, 9), 0);
  EXPECT_EQ(tokenizer->decode(Ids{9, 11}), "<|im_start|><think>");
  EXPECT_EQ(tokenizer->files().at("added_tokens.json"), added);
}

TEST(TokenizerFile, HasNoUseForAddedTokensThatTheConfigOrTokenizerJsonLists) {
  Folder folder;
  folder.write("tokenizer.model", testing::tokenizer_model());
  folder.write("added_tokens.json", R"({"<old>": 9})");
  folder.write("tokenizer_config.json", R"({"added_tokens_decoder": {"9": {"content": "<new>"}}})");
  const auto tokenizer = load_tokenizer(folder.path());
  EXPECT_EQ(tokenizer->id("<new>"), 9);
  EXPECT_FALSE(tokenizer->files().contains("added_tokens.json"));
  folder.write("tokenizer.json", small());
  folder.write("tokenizer_config.json", "{}");
  EXPECT_EQ(load_tokenizer(folder.path())->vocab_size(), 6);
}

// small() with two added tokens, <e> normalised before it is sought and <t> not, which it calls special or
// not.
std::string with_added(const std::string& special, const std::string& normalizer = "null") {
  Json json = parse_json(small("normalizer", normalizer), "small");
  const std::string added = R"([{"id": 5, "content": "<E>", "normalized": true, "special": )" + special +
                            R"(}, {"id": 6, "content": "<t>", "normalized": false, "special": )" + special +
                            "}]";
  json.set("added_tokens", parse_json(added, "added"));
  return dump(json);
}

// As transformers: what is named is special, and what was special once stays so.
TEST(TokenizerFile, ContentSpellsNoTokenThatAnyFileCallsSpecial) {
  const std::string text = "a<E>b<t>a";
  const TextPart content{text.size(), false}, literal{text.size(), true};
  const std::pair<const char*, const char*> files[] = {
      {"false", R"({"eos_token": "<E>", "pad_token": "<t>"})"},
      {"false", R"({"bos_token": {"content": "<E>", "special": false}, "mask_token": "<t>"})"},
      {"false", R"({"additional_special_tokens": ["<E>", {"content": "<t>"}]})"},
      {"false", R"({"added_tokens_decoder": {"5": {"content": "<E>", "special": true},
                    "6": {"content": "<t>", "special": true, "normalized": true}}})"},
      {"true", R"({"added_tokens_decoder": {"5": {"content": "<E>", "special": false, "normalized": false},
                   "6": {"content": "<t>", "special": false}}})"}};
  for (const auto& [special, config] : files)
    for (const char* normalizer : {"null", R"({"type": "Lowercase"})"}) {
      SCOPED_TRACE(std::string(config) + " with normalizer " + normalizer);
      Folder folder;
      folder.write("tokenizer.json", with_added(special, normalizer));
      folder.write("tokenizer_config.json", config);
      const auto tokenizer = load_tokenizer(folder.path());
      EXPECT_TRUE(tokenizer->is_special(5) && tokenizer->is_special(6));
      EXPECT_EQ(tokenizer->encode(text, Specials::plain), (Ids{3}));  // < E > t vanish
      EXPECT_EQ(tokenizer->encode(text, Specials::recognise), (Ids{0, 5, 1, 6, 0}));
      EXPECT_EQ(tokenizer->encode(text, std::span(&content, 1)).size(), 1u);
      EXPECT_EQ(tokenizer->encode(text, std::span(&literal, 1)).size(), 5u);
    }
}

TEST(TokenizerFile, ALiteralPartSpellsANormalizedTokenBesideContent) {
  Folder folder;
  folder.write("tokenizer.json", with_added("true"));
  const auto tokenizer = load_tokenizer(folder.path());
  const std::vector<TextPart> parts = {{3, true}, {4, false}};
  const std::vector<PartToken> tokens = tokenizer->encode("<E>b", parts);
  ASSERT_EQ(tokens.size(), 2u);
  EXPECT_EQ(tokens[0].id, 5);
  EXPECT_EQ(tokens[1].id, 1);
}

// What the map lists counts beside an empty list of the config, and so does an object of tokens.
TEST(TokenizerFile, SpecialTokensOfEitherFileCount) {
  const std::pair<const char*, const char*> files[] = {
      {R"({"additional_special_tokens": []})", R"({"additional_special_tokens": ["<E>", "<t>"]})"},
      {R"({"extra_special_tokens": {"image_token": "<E>"}})", R"({"cls_token": "<t>"})"}};
  for (const auto& [config, map] : files) {
    Folder folder;
    folder.write("tokenizer.json", with_added("false"));
    folder.write("tokenizer_config.json", config);
    folder.write("special_tokens_map.json", map);
    const auto tokenizer = load_tokenizer(folder.path());
    EXPECT_TRUE(tokenizer->is_special(5) && tokenizer->is_special(6)) << config;
  }
}

// As transformers with split_special_tokens: a letter that is named keeps its id in texts, for nothing else
// spells it.
TEST(TokenizerFile, ALetterThatIsThePadTokenIsNotLost) {
  Folder folder;
  folder.write("tokenizer.json", small());
  folder.write("tokenizer_config.json", R"({"pad_token": "b"})");
  const auto tokenizer = load_tokenizer(folder.path());
  EXPECT_TRUE(tokenizer->is_special(1));
  EXPECT_EQ(tokenizer->encode("bab<e>", Specials::plain), (Ids{1, 2}));
  EXPECT_EQ(tokenizer->encode("bab<e>", Specials::recognise), (Ids{1, 0, 1, 5}));
  EXPECT_EQ(tokenizer->decode(Ids{1, 2}, true), "ab");
  // A letter that only the added tokens have can be no part of a text.
  folder.write("tokenizer.json", small("added_tokens", R"([{"id": 5, "content": "x", "special": true}])"));
  EXPECT_EQ(load_tokenizer(folder.path())->encode("axb", Specials::plain), (Ids{2}));
}

TEST(TokenizerFile, APadTokenOfOneLetterChangesNoIdsOfPlainText) {
  const std::string text = "Hi! Wow!! !a b!c";
  const auto expect_same = [&](const std::string& name, const std::string& bytes, const char* pad) {
    Folder folder;
    folder.write(name, bytes);
    const Ids before = load_tokenizer(folder.path())->encode(text, Specials::plain);
    folder.write("tokenizer_config.json", R"({"pad_token": ")" + std::string(pad) + "\"}");
    const auto tokenizer = load_tokenizer(folder.path());
    EXPECT_TRUE(tokenizer->is_special(*tokenizer->pad()));
    EXPECT_EQ(tokenizer->encode(text, Specials::plain), before) << name;
    EXPECT_GT(std::ranges::count(before, *tokenizer->pad()), 0) << name;
  };
  PosixFs fs;
  const std::string llama3 = testing::golden("tokenizers/llama3.json").string();
  expect_same("tokenizer.json", read_file(fs, llama3, 64 << 20), "!");
  expect_same("tokenizer.model", testing::tokenizer_model(), "b");
}

TEST(TokenizerFile, ItsFilesMakeItAgainWithAnotherPadToken) {
  const std::string config = R"({"bos_token": "<b>", "eos_token": "<e>", "pad_token": {"content": "<e>"},
      "model_max_length": 1000000000000000019884624838656, "chat_template": "T"})";
  for (const std::map<std::string, std::string>& beside :
       {std::map<std::string, std::string>{{"tokenizer_config.json", config}},
        {{"tokenizer_config.json", config}, {"special_tokens_map.json", R"({"pad_token": "<e>"})"}},
        {{"special_tokens_map.json", R"({"bos_token": "<b>", "eos_token": "<e>", "pad_token": "<e>"})"}},
        {}}) {
    Folder folder, again;
    folder.write("tokenizer.json", small());
    for (const auto& [name, text] : beside) folder.write(name, text);
    const auto tokenizer = load_tokenizer(folder.path());
    if (tokenizer->pad()) {
      EXPECT_EQ(tokenizer->files_padding_with(*tokenizer->pad()), tokenizer->files());
    }
    for (const auto& [name, text] : tokenizer->files_padding_with(4)) again.write(name, text);
    const auto other = load_tokenizer(again.path());
    EXPECT_EQ(other->pad(), 4);
    EXPECT_EQ(other->eos(), tokenizer->eos());
    EXPECT_EQ(other->bos(), tokenizer->bos());
    EXPECT_EQ(other->chat_template(), tokenizer->chat_template());
    EXPECT_EQ(other->encode("abaab<e>", Specials::recognise), (Ids{3, 2, 5}));
    const auto files = other->files();
    if (const auto map = files.find("special_tokens_map.json"); map != files.end()) {
      EXPECT_EQ(parse_json(map->second, "map").at("pad_token").as_string(), "<b>");
    }
  }
}

TEST(TokenizerFile, ATemplateFileWins) {
  Folder folder;
  folder.write("tokenizer.json", small());
  folder.write("tokenizer_config.json", R"({"chat_template": "from the config"})");
  folder.write("chat_template.jinja", "from the file");
  EXPECT_EQ(load_tokenizer(folder.path() + "/tokenizer.json")->chat_template(), "from the file");
}

TEST(TokenizerFile, SaysWhatIsMissing) {
  Folder folder;
  const auto message = [&](const std::string& path) {
    try {
      load_tokenizer(path);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_NE(message(folder.path()).find("neither tokenizer.json nor tokenizer.model"), std::string::npos);
  EXPECT_NE(message(folder.path() + "/none").find("no such file"), std::string::npos);
  folder.write("x.model", "\x0Agarbage");
  EXPECT_NE(message(folder.path() + "/x.model").find("not a sentencepiece model"), std::string::npos);
  folder.write("tokenizer.json", small());
  folder.write("tokenizer_config.json", R"({"bos_token": "<nope>"})");
  EXPECT_NE(message(folder.path()).find("bos_token is \"<nope>\", which is not in the vocabulary"),
            std::string::npos);
}

TEST(TokenizerFile, ContinuationsLeaveOutIdsThatOnlyAModelHas) {  // Qwen2: 151936 rows, 151665 tokens
  const auto tokenizer = parse_tokenizer(small(), "t.json");
  const std::string text = tokenizer->decode(Ids{1, 2});
  EXPECT_FALSE(text.empty());
  EXPECT_EQ(decode_after(tokenizer, {}, {1, 6, 2, 1000}), text);
}

TEST(TokenizerFile, RefusesIdsOutsideTheVocabulary) {
  const auto tokenizer = parse_tokenizer(small(), "t.json");
  for (const std::int32_t id : {-1, 6, 1 << 30}) {
    EXPECT_THROW(tokenizer->decode(Ids{id}), Error);
    EXPECT_THROW(tokenizer->token(id), Error);
    EXPECT_FALSE(tokenizer->is_special(id));
  }
}

}  // namespace
}  // namespace prefer
