// JSON: values and places, what is refused, and round trips.
#include "prefer/core/json.hpp"

#include "prefer/core/random.hpp"
#include "support/data.hpp"
#include "support/error.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>

namespace prefer {
namespace {

using testing::error_of;

Json parse(std::string_view text, const JsonLimits& limits = {}) {
  return parse_json(text, "f.json", limits);
}
std::string complaint(std::string_view text, const JsonLimits& limits = {}) {
  return error_of([&] { parse(text, limits); });
}

TEST(Json, ReadsEveryKindOfValue) {
  const Json json = parse(R"({"z": [1, -2.5e3, true, null], "a": {"deep": "caf\u00e9 \ud83d\ude00"}})");
  ASSERT_EQ(json.as_object().size(), 2u);
  EXPECT_EQ(json.as_object()[0].first, "z");  // objects keep their order
  EXPECT_EQ(json.at("z").at(0).as_integer(), 1);
  EXPECT_EQ(json.at("z").at(1).as_number(), -2500.0);
  EXPECT_TRUE(json.at("z").at(2).as_bool());
  EXPECT_TRUE(json.at("z").at(3).is_null());
  EXPECT_EQ(json.at("a").at("deep").as_string(), "caf\xc3\xa9 \xf0\x9f\x98\x80");
  EXPECT_EQ(json.find("none"), nullptr);
}

TEST(Json, ValuesKnowTheirByteOffset) {
  const std::string text = R"(  { "a" : 12 , "b":[ "x\n\u00e9" ,3,[ ],{"c":-0.5}] , "d":false })";
  const Json json = parse(text);
  EXPECT_EQ(json.offset(), text.find('{'));
  EXPECT_EQ(json.at("a").offset(), text.find("12"));
  const Json& b = json.at("b");
  EXPECT_EQ(b.offset(), text.find('['));
  EXPECT_EQ(b.at(0).offset(), text.find("\"x"));
  EXPECT_EQ(b.at(1).offset(), text.find("3,"));
  EXPECT_EQ(b.at(2).offset(), text.find("[ ]"));
  EXPECT_EQ(b.at(3).offset(), text.find("{\"c"));
  EXPECT_EQ(b.at(3).at("c").offset(), text.find("-0.5"));
  EXPECT_EQ(json.at("d").offset(), text.find("false"));
}

TEST(Json, AccessorsSayWhere) {
  const Json json = parse_json("{\n  \"a\": 3.5,\n  \"b\": []}", JsonSource{"p.jsonl", 17});
  EXPECT_EQ(json.at("a").place(), "p.jsonl:18:8");
  EXPECT_EQ(error_of([&] { json.at("c"); }), "p.jsonl:17:1: \"c\" is missing");
  EXPECT_EQ(error_of([&] { json.at("a").as_integer(); }),
            "p.jsonl:18:8: expected an integer, found a number");
  EXPECT_EQ(error_of([&] { json.at("a").at("x"); }), "p.jsonl:18:8: expected an object, found a number");
  EXPECT_EQ(error_of([&] { json.at("b").at(0); }), "p.jsonl:19:8: item 0 is missing; the array has 0");
  EXPECT_EQ(error_of([&] { Json(1).as_string(); }), "json: expected a string, found an integer");
}

TEST(Json, PartsOfAValueThatGoesAreCopies) {
  static_assert(!std::is_reference_v<decltype(std::declval<Json>().as_array())>);
  static_assert(!std::is_reference_v<decltype(std::declval<Json>().as_object())>);
  static_assert(!std::is_reference_v<decltype(std::declval<Json>().as_string())>);
  static_assert(!std::is_reference_v<decltype(std::declval<Json>().at("a"))>);
  const auto read = [] { return parse_json(R"({"a": ["a text that is longer than a short one"]})", "x"); };
  std::size_t characters = 0;
  for (const Json& item : read().at("a").as_array()) characters += item.as_string().size();
  EXPECT_EQ(characters, 38u);
  const std::string& text = read().at("a").at(0).as_string();
  EXPECT_EQ(text, "a text that is longer than a short one");
}

TEST(Json, RefusesWhatIsNotJsonAndSaysWhere) {
  const struct {
    std::string_view text;
    const char* place;
  } cases[] = {
      {"", "f.json:1:1"},
      {"{", "f.json:1:2"},
      {"{\"a\":1,}", "f.json:1:8"},
      {"[1,\n 2,\n x]", "f.json:3:2"},
      {"[1] 2", "f.json:1:5"},
      {"[01]", "f.json:1:3"},
      {"[NaN]", "f.json:1:2"},
      {"[Infinity]", "f.json:1:2"},
      {"[1e999]", "f.json:1:"},
      {"[\"\t\"]", "f.json:1:3"},
      {"[\"\\ud800\"]", "f.json:1:"},
      {"[\"\\x\"]", "f.json:1:4"},
      {"'a'", "f.json:1:1"},
      {"[1,/* */2]", "f.json:1:4"},
      {"[\"a", "f.json:1:4"},
      {"[+1]", "f.json:1:2"},
      {"[.5]", "f.json:1:2"},
      {"tru", "f.json:1:4"},
  };
  for (const auto& c : cases)
    EXPECT_EQ(complaint(c.text).rfind(c.place, 0), 0u) << c.text << " -> " << complaint(c.text);
  EXPECT_EQ(complaint(std::string_view("[1]\0junk", 8)), "f.json:1:4: a NUL byte");
  EXPECT_NE(complaint(std::string_view("[\"\0\"]", 5)), "");
}

TEST(Json, Utf8IsStrict) {
  for (const char* bad : {"\xff", "\xc0\x80", "\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80",
                          "\xf8\x88\x80\x80\x80"})
    EXPECT_NE(complaint(std::string("[\"") + bad + "\"]"), "") << bad;
  EXPECT_EQ(parse("[\"\xf4\x8f\xbf\xbf\"]").at(0).as_string(), "\xf4\x8f\xbf\xbf");
  EXPECT_EQ(parse("\xef\xbb\xbf {\"a\":1}").offset(), 4u);
}

TEST(Json, DuplicateKeys) {
  EXPECT_EQ(complaint(R"({"a":1,"b":2,"a":3})"), "f.json:1:18: the key \"a\" stands twice");
  EXPECT_EQ(complaint(R"({"a":1,"\u0061":3})"), "f.json:1:17: the key \"a\" stands twice");
  const Json json = parse(R"({"a":1,"b":2,"a":3})", {.duplicate_keys = true});
  EXPECT_EQ(json.size(), 2u);
  EXPECT_EQ(json.at("a").as_integer(), 3);
}

TEST(Json, DepthSizeAndCountAreCapped) {
  const auto nested = [](std::size_t n) { return std::string(n, '[') + std::string(n, ']'); };
  EXPECT_EQ(complaint(nested(64), JsonLimits::config()), "");
  EXPECT_EQ(complaint(nested(65), JsonLimits::config()), "f.json:1:65: nested deeper than 64");
  EXPECT_EQ(complaint(std::string(5'000'000, '[')), "f.json:1:129: nested deeper than 128");
  EXPECT_EQ(complaint("[1,2,3]", {.max_values = 3}), "f.json:1:6: more than 3 values");
  EXPECT_EQ(complaint("[1,2,3]", {.max_bytes = 6}), "f.json: 7 bytes of JSON, more than the 6 allowed");
}

TEST(Json, Integers) {
  EXPECT_EQ(parse("9223372036854775807").as_integer(), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(parse("-9223372036854775808").as_integer(), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(complaint("[9223372036854775808]"), "f.json:1:2: an integer beyond 64 signed bits");
  EXPECT_EQ(complaint("[-9223372036854775809]"), "f.json:1:2: an integer beyond 64 signed bits");
  const std::string big = "1000000000000000019884624838656";
  EXPECT_NE(complaint(big), "");
  EXPECT_EQ(parse(big, JsonLimits::model_file()).as_number(), 1e30);
  EXPECT_EQ(parse("9223372036854775808", JsonLimits::model_file()).as_number(), 9223372036854775808.0);
  EXPECT_EQ(error_of([] { Json(std::numeric_limits<std::uint64_t>::max()); }).rfind("json: ", 0), 0u);
}

TEST(Json, WritesWhatItReads) {
  for (const char* text :
       {"{\"b\":[1,2.5,-0.0,1e+300,true,null,\"\\\"\\\\\\n\\u0001\xc3\xa9\"],\"a\":{},\"c\":[]}", "5", "\"\"",
        "1.0", "5e-324"})
    EXPECT_EQ(dump(parse(text)), text);
  EXPECT_EQ(dump(Json::object({{"a", Json::array({1, Json::object()})}, {"b", true}}), 2),
            "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": true\n}");
  EXPECT_EQ(parse(dump(Json(0.1))).as_number(), 0.1);
  EXPECT_NE(error_of([] { dump(Json(std::nan(""))); }), "");
}

// Expected: Python 3.11's bytes.decode("utf-8", "replace") of the same bytes.
TEST(Json, InvalidUtf8IsWrittenAsReplacements) {
  const std::string r = "\xef\xbf\xbd";
  const auto written = [](std::string_view text) { return dump(Json(text)); };
  EXPECT_EQ(written("a\xe2\x82"), "\"a" + r + "\"");
  EXPECT_EQ(written("\xe2\x82x"), "\"" + r + "x\"");
  EXPECT_EQ(written("\xf0\x9f\x98"), "\"" + r + "\"");
  EXPECT_EQ(written("\xed\xa0\x80"), "\"" + r + r + r + "\"");
  EXPECT_EQ(written("\xc0\x80\xff"), "\"" + r + r + r + "\"");
  EXPECT_EQ(written("\x80z\xf4\x90"), "\"" + r + "z" + r + r + "\"");
  EXPECT_EQ(written("\xf0\x9f\x98\x80\xc3\xa9"), "\"\xf0\x9f\x98\x80\xc3\xa9\"");
}

TEST(Json, MutationsNeverCrashAndErrorsAreOneLine) {
  const std::string text =
      R"({"model":{"vocab":{"a":0,"b":-1.5e-3},"merges":["a b",["c","d"]]},"x":"\ud83d\ude00\u00e9","t":[true,null]})";
  const std::string bytes = "{}[]\",:\\u0e-+.\x01\xc3\xff tn9";
  std::size_t good = 0;
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    std::string mutated = text;
    const auto bits = random_bits({.seed = 1, .position = i});
    for (std::size_t k = 0; k < 1 + bits[3] % 3; ++k)
      mutated[(bits[k] >> 8) % text.size()] = bytes[(bits[k] & 255) % bytes.size()];
    const std::string error = error_of([&] {
      const Json json = parse(mutated);
      ++good;
      EXPECT_EQ(parse(dump(json)), json) << mutated;
    });
    EXPECT_TRUE(error.empty() || error.starts_with("f.json:1:")) << error;
    EXPECT_EQ(error.find('\n'), std::string::npos);
  }
  EXPECT_GT(good, 0u);
}

TEST(Json, IsBuiltByPrograms) {
  Json json;
  json.set("a", 1).set("b", "x").set("a", 2.0);
  json.set("c", Json().push(true).push(nullptr));
  EXPECT_EQ(dump(json), R"({"a":2.0,"b":"x","c":[true,null]})");
  EXPECT_EQ(json, parse(dump(json)));
  EXPECT_NE(json, parse(R"({"a":2,"b":"x","c":[true,null]})"));
}

TEST(Json, QuotesAreShort) {
  EXPECT_EQ(quote("a\nb"), "\"a\\nb\"");
  const std::string most(79, 'a');
  EXPECT_EQ(quote(most + "\xc3\xa9\xc3\xa9"), "\"" + most + "\"...");
}

TEST(Json, EveryTruncationOfADocumentIsRefused) {
  const std::string text =
      R"({"model":{"vocab":{"a":0,"b":-1.5e-3},"merges":["a b",["c","d"]]},"x":"\ud83d\ude00"})";
  EXPECT_EQ(complaint(text), "");
  for (std::size_t n = 0; n < text.size(); ++n) EXPECT_NE(complaint(text.substr(0, n)), "") << n;
}

TEST(Json, ReadsARealTokenizerFileFast) {
  const auto path = testing::shared_data("tokenizers/smollm2/tokenizer.json");
  PREFER_NEEDS(path);
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto begin = std::chrono::steady_clock::now();
  const Json json = parse_json(text, "tokenizer.json", JsonLimits::model_file());
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
  RecordProperty("milliseconds", static_cast<int>(1e3 * taken.count()));
  EXPECT_EQ(json.at("model").at("vocab").size(), 49152u);
  for (const auto& [token, id] : json.at("model").at("vocab").as_object())
    ASSERT_EQ(text[id.offset()], std::to_string(id.as_integer())[0]) << token;
}

}  // namespace
}  // namespace prefer
