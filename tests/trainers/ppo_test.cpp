// PPO on a reward model that RewardTrainer made, as its reward and as its value model: the scores are the
// model's.
#include "prefer/core/error.hpp"
#include "prefer/core/random.hpp"
#include "prefer/core/safetensors.hpp"
#include "prefer/objectives/score.hpp"
#include "support/error.hpp"
#include "support/invariance.hpp"
#include "tests/programs/dpo.hpp"
#include "tests/trainers/ppo_run.hpp"

namespace prefer::testing {
namespace {

/// The same answers drawn by hand, and scored by the model's folder.
TEST_F(PpoOnARewardModel, ItsScoresAreTheModels) {
  const auto policy = load_model(process_.fs(), tiny_.model, at::kFloat);
  const SpanBuilder spans(load_tokenizer(tiny_.model));
  Skipped none;
  const auto questions = load_questions(process_.fs(), tiny_.pairs, spans, {}, none);
  std::vector<Prompt> prompts;
  for (uint64_t i = 0; i < 7; ++i) prompts.push_back({questions[record_at(0, i, 7)].tokens, i});
  const auto said = generate(*policy, prompts, {.max_new_tokens = 6, .temperature = 1, .n = 2});
  std::vector<std::vector<int32_t>> texts;
  for (std::size_t i = 0; i < 7; ++i) {
    for (const Completion& answer : said[i]) {
      texts.push_back(prompts[i].tokens);
      texts.back().insert(texts.back().end(), answer.tokens.begin(), answer.tokens.end());
    }
  }
  const auto judge = load_reward_model(process_.fs(), tiny_.dir / "reward/model", {}, at::kFloat);
  double expected = 0;
  for (const float score : score_texts(*judge, texts)) expected += score / 14;
  EXPECT_NE(expected, 0);
  EXPECT_NEAR(scores_of(config("out")), expected, 1e-6);
  PpoConfig with_value = config("with_value");
  with_value.value = tiny_.dir / "reward/model";
  EXPECT_NEAR(scores_of(with_value), expected, 1e-6);
}

TEST_F(PpoOnARewardModel, OneWithOtherTokensOrTooFewOrAShortContextIsRefused) {
  const auto refused = [&](const std::string& name, const ModelConfig& other, const std::string& tokenizer) {
    const auto model = with_score_head(*tiny_model(at::kFloat, other), {});
    save_model(process_.fs(), tiny_.dir / name, *model,
               {{"tokenizer.json", tokenizer}, {"tokenizer_config.json", R"({"eos_token": "<e>"})"}});
    PpoConfig judged = config("refused");
    judged.reward_model = tiny_.dir / name;
    return error_of([&] { PpoTrainer(judged, process_); });
  };
  std::string swapped = tiny_tokenizer();
  const std::size_t a = swapped.find("\"a\""), b = swapped.find("\"b\"");
  std::swap(swapped[a + 1], swapped[b + 1]);
  EXPECT_EQ(refused("swapped", tiny_config(), swapped),
            "reward_model=" + (tiny_.dir / "swapped") + " has another tokenizer than model=" + tiny_.model);
  ModelConfig few = tiny_config();
  few.vocab_size = 22;
  EXPECT_EQ(refused("few", few, tiny_tokenizer()), (tiny_.dir / "few") + ": its vocabulary is 0..21, and " +
                                                       tiny_.model + " may say tokens up to 22");
  ModelConfig narrow = tiny_config();
  narrow.context = 8;
  EXPECT_EQ(refused("short", narrow, tiny_tokenizer()),
            tiny_.pairs +
                ":1:1: the prompt has 4 tokens, and at most 2 leave room for response_length=6 in the "
                "context of " +
                (tiny_.dir / "short") + ", 8");
  narrow.context = 6;
  EXPECT_EQ(
      refused("shorter", narrow, tiny_tokenizer()),
      "response_length=6 leaves no room for a prompt in the context of " + (tiny_.dir / "shorter") + ", 6");
}

TEST_F(PpoOnARewardModel, PromptsThatLeaveNoRoomAreSkippedAndCountedWhereAsked) {
  const std::string prompts = tiny_.dir / "prompts_of_both_kinds.jsonl";
  write_file_atomically(process_.fs(), prompts, "{\"prompt\": \"abcdefghi\"}\n{\"prompt\": \"ab\"}\n");
  PpoConfig skips = config("skips");
  skips.train = prompts;
  skips.on_bad = "skip";
  skips.rollout.response_length = 58;  // of a context of 64
  skips.order.batch_size = 1;
  PpoTrainer trainer(skips, process_);
  const std::vector<std::pair<std::string, int64_t>> counted = {
      {"train: the prompt has more than 6 tokens", 1}};
  EXPECT_EQ(trainer.report().skipped, counted);
  skips.rollout.response_length = 63;
  EXPECT_EQ(error_of([&] { PpoTrainer(skips, process_); }),
            prompts + ": there is no prompt; 2 skipped: the prompt has more than 1 tokens (2: " + prompts +
                ":1:1, 2:1)");
}

TEST_F(PpoOnARewardModel, APenaltyForAMissingEndWantsAModelThatHasOne) {
  ModelConfig endless = tiny_config();
  endless.eos = {};
  save_model(process_.fs(), tiny_.dir / "endless", *tiny_model(at::kFloat, endless),
             {{"tokenizer.json", tiny_tokenizer()}, {"tokenizer_config.json", R"({"eos_token": "<e>"})"}});
  PpoConfig penalised = config("out");
  penalised.model = tiny_.dir / "endless";
  penalised.rollout.missing_eos_penalty = 1;
  EXPECT_EQ(error_of([&] { PpoTrainer(penalised, process_); }),
            "missing_eos_penalty=1 would be taken from every answer: " + penalised.model +
                " names no end token (eos_token_id)");
  penalised.rollout.missing_eos_penalty = {};
  penalised.rollout.missing_eos_score = -1;
  EXPECT_EQ(error_of([&] { PpoTrainer(penalised, process_); }),
            "missing_eos_score=-1 would be the score of every answer: " + penalised.model +
                " names no end token (eos_token_id)");
}

/// Turns end with the end token and a space.
constexpr const char* kChats = R"({"eos_token": "<e>", "chat_template":
    "{% for m in messages %}{{ m.role[0] }}{{ m.content }}<e> {% endfor %}{% if add_generation_prompt %}a{% endif %}"})";

TEST_F(PpoOnARewardModel, AnAnswerLeavesRoomForWhatTheTemplateWritesBehindIt) {
  const auto folder = [&](const std::string& name, int64_t context, bool scores) {
    ModelConfig narrow = tiny_config();
    narrow.context = context;
    auto model = tiny_model(at::kFloat, narrow);
    if (scores) model = with_score_head(*model, {});
    save_model(process_.fs(), tiny_.dir / name, *model,
               {{"tokenizer.json", tiny_tokenizer()}, {"tokenizer_config.json", kChats}});
    return tiny_.dir / name;
  };
  const std::string prompts = tiny_.dir / "chats.jsonl";
  std::string lines;
  for (const char* asked : {"b", "bc", "bcd"})  // and u, <e>, a space and a: 5, 6 and 7 tokens
    lines += std::string(R"({"messages": [{"role": "user", "content": ")") + asked + "\"}]}\n";
  write_file_atomically(process_.fs(), prompts, lines);
  PpoConfig chats = config("chats");
  chats.model = folder("policy", 64, false);
  chats.train = prompts;
  chats.on_bad = "skip";
  chats.order.batch_size = 2;
  const auto skipped = [&](int64_t policy_context, int64_t judge_context) {
    chats.model = folder("policy", policy_context, false);
    chats.reward_model = folder("judge", judge_context, true);
    return PpoTrainer(chats, process_).report().skipped;
  };
  using Counted = std::vector<std::pair<std::string, int64_t>>;
  // Answers have up to 6 tokens; behind them the judge reads one more.
  EXPECT_EQ(skipped(64, 14), Counted());
  EXPECT_EQ(skipped(64, 13), (Counted{{"train: the prompt has more than 6 tokens", 1}}));
  EXPECT_EQ(skipped(13, 14), Counted());
  EXPECT_EQ(skipped(12, 14), (Counted{{"train: the prompt has more than 6 tokens", 1}}));
  chats.model = folder("policy", 64, false);
  chats.reward_model = folder("judge", 13, true);
  chats.on_bad = "stop";
  EXPECT_EQ(error_of([&] { PpoTrainer(chats, process_); }),
            prompts +
                ":3:1: the prompt has 7 tokens, and at most 6 leave room for response_length=6 and what the "
                "chat template writes behind in the context of " +
                (tiny_.dir / "judge") + ", 13");
}

TEST_F(PpoOnARewardModel, HeldOutBeforeIsThePolicyBeforeTrainingWhateverTheReference) {
  PpoConfig held_out = config("held_out");
  held_out.eval = tiny_.pairs;
  held_out.reference = tiny_.dir / "elsewhere";
  save_model(process_.fs(), *held_out.reference, *tiny_model(at::kFloat, tiny_config(), 2),
             {{"tokenizer.json", tiny_tokenizer()}, {"tokenizer_config.json", R"({"eos_token": "<e>"})"}});
  const auto figures = [&](const PpoConfig& config) {
    PpoTrainer trainer(config, process_);
    trainer.train();
    return trainer.report().figures;
  };
  PpoConfig still = held_out;
  still.fit.optimizer.learning_rate = 1e-30;
  for (const Figure& figure : figures(still)) {
    EXPECT_EQ(figure.before.mean, figure.after.mean) << figure.name;
    EXPECT_NE(figure.before.mean, 0) << figure.name;
  }
  PpoConfig moves = held_out;
  moves.output = tiny_.dir / "moves";
  moves.resume = true;
  moves.fit.optimizer.learning_rate = 1e-2;
  moves.fit.schedule.lr_scheduler_type = "constant";
  const std::vector<Figure> first = figures(moves);
  moves.iterations = 2;
  const std::vector<Figure> resumed = figures(moves);
  ASSERT_EQ(resumed.size(), first.size());
  for (std::size_t i = 0; i < first.size(); ++i) {
    EXPECT_NE(first[i].before.mean, first[i].after.mean) << first[i].name;
    EXPECT_EQ(resumed[i].before.mean, first[i].before.mean) << first[i].name;
  }
}

TEST_F(PpoOnARewardModel, AHeldOutPromptIsAskedOnce) {
  PpoConfig held_out = config("once");
  held_out.eval = file_of(tiny_.dir, "eval.jsonl",
                          {R"({"prompt": "do p"})", R"({"prompt": "do q"})", R"({"prompt": "do p"})"});
  PpoTrainer trainer(held_out, process_);
  trainer.train();
  EXPECT_EQ(trainer.report().figures.front().note.rfind("2 held-out prompts", 0), 0U)
      << trainer.report().figures.front().note;
}

TEST_F(PpoOnARewardModel, TheValueModelHasItsOwnLearningRate) {
  const auto moved = [&](const std::string& output, double scale) {
    PpoConfig scaled = config(output);
    scaled.value = "shared";  // a head of zeros, which Adam's first step moves by the learning rate
    scaled.value_learning_rate_scale = scale;
    scaled.fit.optimizer.learning_rate = 1e-3;
    PpoTrainer(scaled, process_).train();
    const SafetensorsFile file(process_.fs(), tiny_.dir / (output + "/checkpoint-1/weights.safetensors"));
    double most = 0;
    for (const StoredTensor& stored : file.tensors()) {
      if (!stored.name.starts_with("weights.value.")) continue;
      std::vector<float> head(static_cast<std::size_t>(stored.bytes) / sizeof(float));
      file.read(stored, std::as_writable_bytes(std::span(head)));
      for (const float weight : head) most = std::max<double>(most, std::abs(weight));
    }
    return most;
  };
  EXPECT_NEAR(moved("once", 1), 1e-3, 1e-4);
  EXPECT_NEAR(moved("five", 5), 5e-3, 5e-4);
}

TEST_F(PpoOnARewardModel, AStopTokenEndsAnswersInsteadOfTheModelsOwn) {
  constexpr int32_t kStop = 4, kModels = 2;
  PpoConfig stops = config("stops");
  stops.reward_model.reset();
  stops.eval = tiny_.pairs;
  stops.rollout.stop_token_id = kStop;
  stops.rollout.missing_eos_score = -3;
  int64_t ended = 0, cut = 0, went_on = 0;
  double scores = 0;
  PpoTrainer(stops, process_, Scorer([&](std::span<const Answer> answers) {
               for (const Answer& answer : answers) {
                 const auto stop = std::ranges::find(answer.tokens, kStop);
                 EXPECT_EQ(answer.ended, stop != answer.tokens.end());
                 EXPECT_EQ(answer.ended ? answer.tokens.end() - 1 - stop : 0, 0);
                 EXPECT_TRUE(answer.ended || answer.tokens.size() == 6);
                 const auto models = std::ranges::find(answer.tokens, kModels);
                 went_on += models != answer.tokens.end() && models != answer.tokens.end() - 1;
                 ++(answer.ended ? ended : cut);
               }
               return std::vector<double>(answers.size(), 5.0);
             }))
      .train({[&](StepEvent& event) {
        scores = event.metrics.at("objective/scores");
        const double share = event.metrics.at("val/num_eos_tokens") / 14;
        EXPECT_NEAR(scores, 5 * share - 3 * (1 - share), 1e-12);
      }});
  EXPECT_GT(ended, 0);
  EXPECT_GT(cut, 0);
  EXPECT_GT(went_on, 0);
  EXPECT_EQ(ended + cut, 14 + 2 * 7);  // of the iteration, and held out before and after
  stops.output = tiny_.dir / "refused";
  stops.rollout.stop_token_id = 23;
  EXPECT_EQ(error_of([&] { PpoTrainer(stops, process_, each({})); }),
            "stop_token_id=23: the vocabulary of " + tiny_.model + " is 0..22");
}

}  // namespace
}  // namespace prefer::testing
