// Generation: its bits against scoring, its draws against batching, and known greedy continuations.
#include "prefer/model/generate.hpp"

#include "prefer/core/error.hpp"
#include "prefer/core/json.hpp"
#include "prefer/model/load.hpp"
#include "prefer/ops/gemm.hpp"
#include "prefer/text/tokenizer.hpp"
#include "support/data.hpp"
#include "support/invariance.hpp"
#include "support/scoring.hpp"
#include "support/tiny_model.hpp"

#include <gtest/gtest.h>

namespace prefer {
namespace {

using testing::tiny_model;

const std::vector<Prompt> kPrompts = {{{1, 5, 9}, 0}, {{4}, 1}, {{3, 1, 4, 1, 5, 9, 2, 6}, 2}, {{7, 7}, 3}};

std::vector<float> scored(const Transformer& model, const Prompt& prompt, const Completion& text) {
  std::vector<int32_t> whole = prompt.tokens;
  whole.insert(whole.end(), text.tokens.begin(), text.tokens.end());
  const auto from = static_cast<int64_t>(prompt.tokens.size());
  const Tensor logp = testing::score(model, testing::batch_of({testing::sequence_of(whole, from)}));
  const auto* data = static_cast<const float*>(logp.const_data_ptr());
  return {data, data + logp.size(0)};
}

class Generated : public ::testing::TestWithParam<at::ScalarType> {};

TEST_P(Generated, LogProbabilitiesAreTheBitsOfScoring) {
  PREFER_NEEDS_INVARIANCE(GetParam());
  const auto model = tiny_model(GetParam());
  const auto texts =
      generate(*model, kPrompts,
               {.max_new_tokens = 12, .temperature = 0.9, .top_p = 0.95, .n = 3, .batch_size = 5, .seed = 7});
  for (size_t p = 0; p < kPrompts.size(); ++p) {
    ASSERT_EQ(texts[p].size(), 3u);
    for (const Completion& text : texts[p]) EXPECT_EQ(text.logprobs, scored(*model, kPrompts[p], text));
  }
}

TEST_P(Generated, DrawsDoNotDependOnTheBatch) {
  PREFER_NEEDS_INVARIANCE(GetParam());
  const auto model = tiny_model(GetParam());
  const GenerateOptions wide{.max_new_tokens = 9, .n = 4, .batch_size = 32, .seed = 3, .step = 5};
  GenerateOptions narrow = wide;
  narrow.batch_size = 3;
  const auto together = generate(*model, kPrompts, wide), few = generate(*model, kPrompts, narrow);
  for (size_t p = 0; p < kPrompts.size(); ++p) {
    const auto alone = generate(*model, std::vector<Prompt>{kPrompts[p]}, narrow);
    for (size_t s = 0; s < 4; ++s) {
      EXPECT_EQ(together[p][s].tokens, few[p][s].tokens);
      EXPECT_EQ(together[p][s].logprobs, few[p][s].logprobs);
      EXPECT_EQ(together[p][s].tokens, alone.front()[s].tokens);
    }
  }
  EXPECT_NE(together[0][0].tokens, together[0][1].tokens);
}

TEST_P(Generated, SmolLm2sLogProbabilitiesAreTheBitsOfScoring) {
  PREFER_NEEDS(testing::smollm2());
  PREFER_NEEDS_INVARIANCE(GetParam());
  PosixFs fs;
  const auto model = load_model(fs, testing::smollm2(), GetParam());
  const std::vector<Prompt> prompts{{{504, 3575, 282, 4649, 314}, 0}, {{6403, 1980, 253, 655}, 1}};
  const auto texts = generate(*model, prompts, {.max_new_tokens = 8, .n = 2, .batch_size = 3, .stop = {-1}});
  for (size_t p = 0; p < prompts.size(); ++p) {
    for (const Completion& text : texts[p]) EXPECT_EQ(text.logprobs, scored(*model, prompts[p], text));
  }
}

INSTANTIATE_TEST_SUITE_P(Types, Generated, ::testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& type) { return type.param == at::kFloat ? "float32" : "bfloat16"; });

TEST(Generate, EndsAtAStopTokenAtMaxNewTokensAndAtTheContext) {
  const auto model = tiny_model(at::kFloat);
  std::vector<int64_t> all(23);
  for (int64_t i = 0; i < 23; ++i) all[static_cast<size_t>(i)] = i;
  const auto first = generate(*model, kPrompts, {.max_new_tokens = 5, .stop = all});
  for (const auto& texts : first) {
    EXPECT_TRUE(texts[0].ended);
    EXPECT_EQ(texts[0].tokens.size(), 1u);
  }
  const auto full = generate(*model, kPrompts, {.max_new_tokens = 5, .stop = {-1}});
  for (const auto& texts : full) EXPECT_EQ(texts[0].tokens.size(), 5u);
  EXPECT_FALSE(full[0][0].ended);
  const std::vector<Prompt> longest{{std::vector<int32_t>(62, 4), 0}};  // of a context of 64
  EXPECT_EQ(generate(*model, longest, {.max_new_tokens = 5, .stop = {-1}})[0][0].tokens.size(), 2u);
}

TEST(Generate, TellsOfEachTextOnce) {
  const auto model = tiny_model(at::kFloat);
  std::map<std::pair<size_t, size_t>, std::vector<int32_t>> told;
  const auto texts = generate(*model, kPrompts, {.max_new_tokens = 4, .n = 2, .batch_size = 3},
                              [&](size_t p, size_t s, const Completion& text) {
                                const bool first = told.emplace(std::pair{p, s}, text.tokens).second;
                                EXPECT_TRUE(first);
                              });
  EXPECT_EQ(told.size(), 8u);
  for (const auto& [key, tokens] : told) EXPECT_EQ(texts[key.first][key.second].tokens, tokens);
}

TEST(Generate, RefusesPromptsThatCannotBeContinued) {
  const auto model = tiny_model(at::kFloat);
  EXPECT_THROW(generate(*model, std::vector<Prompt>{{{}, 0}}, {}), Error);
  EXPECT_THROW(generate(*model, std::vector<Prompt>{{std::vector<int32_t>(64, 4), 0}}, {}), Error);
  EXPECT_THROW(generate(*model, std::vector<Prompt>{{{23}, 0}}, {}), Error);
  EXPECT_TRUE(generate(*model, std::vector<Prompt>{}, {}).empty());
}

TEST(Generate, Stories260KContinuesAsItsGoldenText) {
  const auto folder = testing::shared_data("models/stories260K");
  PREFER_NEEDS(folder);
  PosixFs fs;
  const auto model = load_model(fs, folder / "hf", at::kFloat);
  const auto tokenizer = load_tokenizer(folder / "hf");
  std::string wanted = read_file(fs, folder / "golden_greedy_200.txt", 1 << 20);
  while (wanted.ends_with('\n')) wanted.pop_back();
  const auto texts = generate(*model, std::vector<Prompt>{{{1}, 0}},
                              {.max_new_tokens = 200, .temperature = 0, .stop = {1, 2}});
  const std::string text = tokenizer->decode(texts[0][0].tokens);
  EXPECT_EQ(text.substr(text.find_first_not_of(' ')), wanted);
}

TEST(Generate, SmolLm2ContinuesAsTransformersDoes) {
  PREFER_NEEDS(testing::smollm2());
  PosixFs fs;
  const auto model = load_model(fs, testing::smollm2(), at::kFloat);
  const std::string path = testing::golden("llama/smollm2.json");
  const Json numbers = parse_json(read_file(fs, path, 1 << 20), path);
  const Json& wanted = numbers.at("greedy");
  const auto ids = [&](const char* key) {
    std::vector<int32_t> result;
    for (const Json& id : wanted.at(key).as_array()) result.push_back(static_cast<int32_t>(id.as_integer()));
    return result;
  };
  const std::vector<int32_t> tokens = ids("tokens");
  ASSERT_GE(tokens.size(), 20u);
  const auto texts =
      generate(*model, std::vector<Prompt>{{ids("prompt"), 0}},
               {.max_new_tokens = static_cast<int64_t>(tokens.size()), .temperature = 0, .stop = {-1}});
  EXPECT_EQ(texts[0][0].tokens, tokens);
  EXPECT_EQ(load_tokenizer(testing::smollm2())->decode(tokens), wanted.at("text").as_string());
}

}  // namespace
}  // namespace prefer
