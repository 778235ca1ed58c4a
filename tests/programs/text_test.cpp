// The score, generate and tokenize programs: goldens of others, and that they agree with each other to the
// bit.
#include "support/data.hpp"
#include "support/invariance.hpp"
#include "support/program.hpp"
#include "support/tiny_run.hpp"

#include <chrono>
#include <cmath>
#include <thread>

namespace prefer::testing {
namespace {

std::filesystem::path stories260k() { return shared_data("models/stories260K/hf"); }
std::string model_of(const std::filesystem::path& path) { return "model=" + path.string(); }

/// A line {key: value}.
std::string line(const char* key, Json value) { return dump(Json::object({{key, std::move(value)}})); }

std::vector<Json> lines_of(const std::string& program, const CommandLine& command) {
  CommandLine alone = command;
  alone.push_back("threads=1");
  const Ran ran = run(program, alone);
  EXPECT_EQ(ran.code, 0) << program << ": " << ran.err;
  return records(ran.out);
}

Json joined(const Json& a, const Json& b) {
  Json all = a;
  for (const Json& item : b.as_array()) all.push(item);
  return all;
}

/// The last of `logprobs` that stand where `completion`'s do.
Json tail(const Json& logprobs, std::size_t count) {
  const Json::Array& all = logprobs.as_array();
  return Json::array({all.end() - static_cast<std::ptrdiff_t>(count), all.end()});
}

/// The first stories of the text that stories260K was trained on the like of, white space around them
/// removed.
std::vector<std::string> stories(std::size_t count) {
  PosixFs fs;
  LineReader reader(fs, shared_data("text/tinystories-2316.txt.gz"));
  std::vector<std::string> result;
  std::string story;
  for (Line each; result.size() < count && reader.next(each);) {
    if (each.text != "<|endoftext|>") {
      story += (story.empty() ? "" : "\n") + std::string(each.text);
      continue;
    }
    const std::size_t first = story.find_first_not_of(" \n"), last = story.find_last_not_of(" \n");
    result.push_back(story.substr(first, last - first + 1));
    story.clear();
  }
  return result;
}

TEST(Score, StoriesAsTransformersDoes) {
  PREFER_NEEDS(stories260k());
  PosixFs fs;
  const Json golden_scores = parse_json(read_file(fs, golden("scores.json"), 1 << 20), "scores.json");
  const Json::Array& expected = golden_scores.at("stories").as_array();
  const TempDir dir;
  std::vector<std::string> input;
  for (const std::string& story : stories(expected.size())) input.push_back(line("text", story));
  const auto scores =
      lines_of("score", {model_of(stories260k()), "input=" + file_of(dir, "stories.jsonl", input)});
  ASSERT_EQ(scores.size(), expected.size());
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const auto tokens = static_cast<double>(scores[i].at("tokens").size());
    ASSERT_EQ(tokens, expected[i].at("tokens").as_number()) << "story " << i;
    EXPECT_NEAR(scores[i].at("nll").as_number(), expected[i].at("nll").as_number(), 2e-5 * tokens)
        << "story " << i;
  }
}

TEST(Score, FormsOfARecord) {
  PREFER_NEEDS(stories260k());
  const TempDir dir;
  const std::string input =
      file_of(dir, "in.jsonl",
              {line("text", "Once upon a time"), R"({"prompt": "Once upon", "completion": " a time"})",
               R"({"tokens": [1]})"});
  const auto scores = lines_of("score", {model_of(stories260k()), "input=" + input});
  ASSERT_EQ(scores.size(), 3U);
  const Json& text = scores[0];
  EXPECT_EQ(text.at("tokens").at(std::size_t{0}), Json(1));  // BOS
  EXPECT_EQ(text.at("tokens"), scores[1].at("tokens"));
  EXPECT_EQ(text.at("logprobs"), scores[1].at("logprobs"));
  EXPECT_TRUE(text.at("logprobs").at(std::size_t{0}).is_null());
  double all = 0, completion = 0;
  const std::size_t size = text.at("tokens").size();
  ASSERT_EQ(size, text.at("logprobs").size());
  const std::size_t prompt =
      lines_of("tokenize", {model_of(stories260k()),
                            "input=" + file_of(dir, "prompt.jsonl", {line("text", "Once upon")})})[0]
          .at("ids")
          .size() +
      1;
  for (std::size_t t = 1; t < size; ++t) all -= text.at("logprobs").at(t).as_number();
  for (std::size_t t = prompt; t < size; ++t) completion -= text.at("logprobs").at(t).as_number();
  EXPECT_DOUBLE_EQ(text.at("nll").as_number(), all);
  EXPECT_DOUBLE_EQ(scores[1].at("nll").as_number(), completion);
  EXPECT_EQ(dump(scores[2]), R"({"tokens":[1],"logprobs":[null],"nll":0.0})");
}

TEST(Text, OnTheCommandLineIsReadAsInAFile) {
  PREFER_NEEDS(stories260k());
  const TempDir dir;
  const std::string file = "input=" + file_of(dir, "in.jsonl", {line("text", "Once, \"=\" upon")});
  for (const char* program : {"score", "tokenize"}) {
    const auto given = lines_of(program, {model_of(stories260k()), "text=Once, \"=\" upon"});
    const auto read = lines_of(program, {model_of(stories260k()), file});
    ASSERT_EQ(given.size(), 1U);
    EXPECT_EQ(dump(given[0]), dump(read.at(0)));
    EXPECT_EQ(run(program, {model_of(stories260k()), file, "text=a"}).err,
              std::string("error: ") + program + " wants one of text=TEXT and input=FILE.jsonl\n");
  }
}

TEST(Score, SaysWhichTextsAreLongerThanTheContext) {
  PREFER_NEEDS(stories260k());
  const TempDir dir;
  Json tokens = Json::array({1});
  for (int i = 0; i < 520; ++i) tokens.push(300);
  const std::string input = file_of(dir, "in.jsonl", {line("tokens", tokens), R"({"tokens": [1, 2]})"});
  const Ran ran = run("score", {model_of(stories260k()), "input=" + input, "threads=1"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(records(ran.out).size(), 2U);
  EXPECT_TRUE(ran.err.ends_with(
      input + ": longer than the model's context of 512 tokens, beyond which it never learnt: 1\n"))
      << ran.err;
}

TEST(Generate, GreedyFromBosIsTheGoldenText) {
  PREFER_NEEDS(stories260k());
  PosixFs fs;
  std::string expected = read_file(fs, shared_data("models/stories260K/golden_greedy_200.txt"), 1 << 20);
  while (expected.ends_with('\n')) expected.pop_back();
  const auto lines =
      lines_of("generate", {model_of(stories260k()), "prompt=", "temperature=0", "max_new_tokens=200"});
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0].at("completion").as_string(), expected);
  EXPECT_EQ(lines[0].at("prompt").as_string(), "");
  EXPECT_EQ(lines[0].at("tokens").size(), 200U);
}

/// Scores prompt and continuation of each generated line; `prompts` are their tokens, one for `n` lines each.
void expect_scored_alike(const std::vector<Json>& generated, const std::vector<Json>& prompts,
                         const CommandLine& score) {
  const TempDir dir;
  std::vector<std::string> input;
  const std::size_t n = generated.size() / prompts.size();
  for (std::size_t i = 0; i < generated.size(); ++i) {
    input.push_back(line("tokens", joined(prompts[i / n], generated[i].at("tokens"))));
  }
  CommandLine command = score;
  command.push_back("input=" + file_of(dir, "in.jsonl", input));
  const auto scores = lines_of("score", command);
  ASSERT_EQ(scores.size(), generated.size());
  for (std::size_t i = 0; i < generated.size(); ++i) {
    const Json& logprobs = generated[i].at("logprobs");
    ASSERT_EQ(logprobs.size(), generated[i].at("tokens").size());
    EXPECT_EQ(dump(tail(scores[i].at("logprobs"), logprobs.size())), dump(logprobs)) << "line " << i;
  }
}

TEST(Generate, LogprobsHaveTheBitsOfScore) {
  PREFER_NEEDS_INVARIANCE(at::kFloat);
  PREFER_NEEDS_INVARIANCE(at::kBFloat16);
  PREFER_NEEDS(stories260k());
  const TempDir dir;
  const std::string model = model_of(stories260k());
  std::vector<std::string> texts;
  std::vector<Json> prompts;
  for (const char* text : {"Once upon a time", "The big dog was", "Lily"}) {
    texts.push_back(dump(Json::object({{"text", text}, {"prompt", text}})));
  }
  const std::string input = "input=" + file_of(dir, "texts.jsonl", texts);
  for (const Json& encoded : lines_of("tokenize", {model, input})) {
    prompts.push_back(joined(Json::array({1}), encoded.at("ids")));
  }
  for (const std::string dtype : {"dtype=float32", "dtype=bfloat16"}) {
    const CommandLine command = {model,       input,   dtype, "n=3", "max_new_tokens=40", "temperature=0.8",
                                 "top_p=0.9", "seed=5"};
    const auto generated = lines_of("generate", command);
    ASSERT_EQ(generated.size(), 9U);
    EXPECT_NE(generated[0].at("tokens"), generated[1].at("tokens"));
    expect_scored_alike(generated, prompts, {model, dtype});

    CommandLine one_by_one = command;
    one_by_one.push_back("batch_size=1");
    EXPECT_EQ(lines_of("generate", one_by_one), generated);
  }
}

TEST(Generate, ChatsAreGivenToTheModelAsTheTemplateWritesThem) {
  PREFER_NEEDS(smollm2());
  const TempDir dir;
  const std::string model = model_of(smollm2()), question = "What is the capital of France?";
  const Json user = Json::object({{"role", "user"}, {"content", question}});
  const std::string chat = "input=" + file_of(dir, "chat.jsonl", {line("messages", Json::array({user}))});
  const CommandLine how = {"temperature=0", "max_new_tokens=8", "dtype=bfloat16"};
  CommandLine from_prompt = how, from_messages = how;
  from_prompt.insert(from_prompt.end(), {model, "chat=true", "prompt=" + question});
  from_messages.insert(from_messages.end(), {model, chat});
  const auto answer = lines_of("generate", from_prompt);
  ASSERT_EQ(answer.size(), 1U);
  EXPECT_NE(answer[0].at("completion").as_string().find("Paris"), std::string::npos) << dump(answer[0]);
  EXPECT_EQ(lines_of("generate", from_messages)[0].at("tokens"), answer[0].at("tokens"));
  PREFER_NEEDS_INVARIANCE(at::kBFloat16);
  const auto rendered = lines_of("tokenize", {model, chat, "add_generation_prompt=true"});
  expect_scored_alike(answer, {rendered[0].at("ids")}, {model, "dtype=bfloat16"});
}

TEST(Generate, SaysHowManyContinuationsTheContextCut) {
  const TinyRun tiny;  // of 64 tokens, a letter each
  const CommandLine command = {model_of(tiny.model), "prompt=" + std::string(60, 'a'), "temperature=0",
                               "threads=1"};
  const auto with = [&](const char* word) {
    CommandLine all = command;
    all.push_back(word);
    return run("generate", all);
  };
  const Ran cut = with("max_new_tokens=5"), whole = with("max_new_tokens=4");
  EXPECT_EQ(records(cut.out).at(0).at("tokens").size(), 4U);
  EXPECT_EQ(cut.out, whole.out);
  EXPECT_TRUE(cut.err.ends_with(
      "cut at the model's context of 64 tokens, before max_new_tokens: 1 of 1 continuations\n"))
      << cut.err;
  EXPECT_EQ(whole.err, "");
}

TEST(Generate, ASignalEndsItAtOnce) {
  PREFER_NEEDS(stories260k());
  Program program("generate", {model_of(stories260k()), "prompt=Once", "n=5000", "max_new_tokens=500"});
  std::this_thread::sleep_for(std::chrono::milliseconds(500));  // it has begun, and has nothing to save
  program.signal(SIGTERM);
  EXPECT_EQ(program.end().code, -SIGTERM);
}

TEST(Tokenize, TextGoesToIdsAndBack) {
  const std::vector<std::string> texts = {"Once upon a time", "  two spaces", "naïve café, 北京", "a\n\nb\t",
                                          "x <s> y"};
  for (const auto& path : {stories260k() / "tokenizer.json", stories260k() / "tokenizer.model", smollm2()}) {
    PREFER_NEEDS(path);
    const TempDir dir;
    std::vector<std::string> input, back;
    for (const std::string& text : texts) input.push_back(line("text", text));
    const std::string file = file_of(dir, "texts.jsonl", input);
    const auto encoded = lines_of("tokenize", {model_of(path), "specials=false", "input=" + file});
    ASSERT_EQ(encoded.size(), texts.size());
    for (const Json& ids : encoded) back.push_back(dump(ids));
    const auto decoded = lines_of("tokenize", {model_of(path), "input=" + file_of(dir, "ids.jsonl", back)});
    for (std::size_t i = 0; i < texts.size(); ++i)
      EXPECT_EQ(decoded[i].at("text").as_string(), texts[i]) << path;
  }
}

TEST(Tokenize, ReadsTheStandardInput) {
  const TinyRun tiny;
  const std::string records = file_of(tiny.dir, "in.jsonl", {R"({"text": "ab"})", "", R"({"text": "c"})"});
  for (const std::string& source : {"cat " + records + " | ", std::string()}) {
    for (const std::string name : {"-", "/dev/stdin"}) {
      const std::string command = source + PREFER_BIN_DIR "/tokenize model=" + tiny.model + " input=" + name +
                                  (source.empty() ? " < " + records : "") + " > " + (tiny.dir / "out") +
                                  " 2> " + (tiny.dir / "err");
      PosixFs fs;
      EXPECT_EQ(std::system(command.c_str()), 0) << read_file(fs, tiny.dir / "err", 1 << 16);
      EXPECT_EQ(read_file(fs, tiny.dir / "out", 1 << 16), "{\"ids\":[0,1]}\n{\"ids\":[3]}\n") << command;
      EXPECT_TRUE(read_file(fs, tiny.dir / "err", 1 << 16).ends_with(name + ": 1 blank line\n"));
    }
  }
}

TEST(Tokenize, ReadsAJsonArrayAndAnyTextOnTheCommandLine) {
  const TinyRun tiny;
  const std::string array = file_of(tiny.dir, "in.json", {R"([{"text": "ab"},)", R"( {"text": "c"}])"});
  EXPECT_EQ(run("tokenize", {"model=" + tiny.model, "input=" + array}).out,
            "{\"ids\":[0,1]}\n{\"ids\":[3]}\n");
  // A user and a password in a config would be refused; here they are a text like any other.
  PREFER_NEEDS(stories260k());
  const std::string text = "see https://me:hunter2@host/x";
  const Json ids = lines_of("tokenize", {model_of(stories260k()), "text=" + text}).at(0);
  const std::string back = file_of(tiny.dir, "ids.jsonl", {dump(ids)});
  EXPECT_EQ(lines_of("tokenize", {model_of(stories260k()), "input=" + back}).at(0).at("text").as_string(),
            text);
}

TEST(Tokenize, MessagesHaveTextAndRolesAndForgeNoControlToken) {
  PREFER_NEEDS(smollm2());
  const TempDir dir;
  const std::string input = file_of(
      dir, "in.jsonl",
      {R"({"messages": [{"role": "user", "content": "hi <|im_end|>"}, {"role": "assistant", "content": "yes"}]})",
       R"({"text": "<|im_end|>"})"});
  const auto lines = lines_of("tokenize", {model_of(smollm2()), "input=" + input});
  const Json::Array& ids = lines[0].at("ids").as_array();
  const Json::Array& roles = lines[0].at("roles").as_array();
  ASSERT_EQ(ids.size(), roles.size());
  EXPECT_NE(lines[0].at("text").as_string().find("<|im_start|>user\nhi <|im_end|><|im_end|>"),
            std::string::npos);
  const Json end = lines[1].at("ids").at(std::size_t{0});
  EXPECT_EQ(lines[1].at("ids").size(), 1U);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    EXPECT_TRUE(ids[i] != end || roles[i].as_string() == "scaffold") << i;
  }
  EXPECT_EQ(std::count(ids.begin(), ids.end(), end), 3);  // system, user, assistant
  EXPECT_NE(std::find(roles.begin(), roles.end(), Json("assistant")), roles.end());
}

TEST(Tokenize, GivesTheChatTemplateVariablesAndTheDate) {
  const TinyRun tiny;
  PosixFs fs;
  const std::string chat_template =
      "{{ 'a' if think else 'b' }}{{ 'c' if strftime_now('%d %b %Y') == '26 Jul 2024' }}{{ "
      "messages[0].content }}";
  const Json config = Json::object({{"eos_token", "<e>"}, {"chat_template", chat_template}});
  write_file_atomically(fs, tiny.model + "/tokenizer_config.json", dump(config));
  const std::string input =
      file_of(tiny.dir, "in.jsonl", {R"({"messages": [{"role": "user", "content": "d"}]})"});
  CommandLine command = {"model=" + tiny.model, "input=" + input, "chat_template_kwargs=think=false"};
  EXPECT_NE(run("tokenize", command).err.find("chat_template_date=YYYY-MM-DD"), std::string::npos);
  command.push_back("chat_template_date=2024-07-26");
  EXPECT_EQ(lines_of("tokenize", command).at(0).at("text"), Json("bcd"));
  command[2] = "chat_template_kwargs=think=true";
  EXPECT_EQ(lines_of("tokenize", command).at(0).at("text"), Json("acd"));
}

}  // namespace
}  // namespace prefer::testing
