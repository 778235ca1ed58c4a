// What programs refuse: each with exit code 1, nothing on stdout, and one line that says what was asked and
// seen.
#include "prefer/model/load.hpp"
#include "support/tiny_model.hpp"
#include "tests/programs/dpo.hpp"

namespace prefer::testing {
namespace {

/// A file of one line, and what is said of it.
struct BadLine {
  const char* line;
  const char* error;  ///< after "file:"
};

struct BadCommand {
  const char* program;
  CommandLine command;
  const char* error;  ///< after "error: "
};

/// The last line on stderr: before it a run may say how far it came.
std::string last_line(std::string text) {
  if (text.ends_with('\n')) text.pop_back();
  return text.substr(text.rfind('\n') + 1);
}

void expect_refused(const std::string& program, const CommandLine& command, const std::string& error) {
  const Ran ran = run(program, command);
  EXPECT_EQ(ran.code, 1) << program << ": " << ran.err;
  EXPECT_EQ(ran.out, "");
  EXPECT_EQ(last_line(ran.err), "error: " + error);
}

const char* const kPair = R"({"prompt": "One day", "chosen": " a", "rejected": " b"})";

TEST(Refusals, CommandLines) {
  const std::vector<BadCommand> table = {
      {"dpo", {}, "dpo: model: is required (Hugging Face folder or .gguf that is trained)"},
      {"dpo",
       {"--steps"},
       R"("--steps" is no argument of dpo; it takes [config.json] key.path=value ... or --help)"},
      {"dpo", {"steps=1", "x"}, R"("x" is neither key.path=value nor the first argument, the config file)"},
      {"dpo", {"nowhere.json"}, "nowhere.json: could not open: No such file or directory"},
      {"dpo",
       {"loss.betta=1"},
       "loss.betta=1: unknown key; did you mean beta? known are name, beta, label_smoothing"},
      {"dpo", {"loss.beta=-1"}, "loss.beta=-1: must be > 0, not -1"},
      {"dpo", {"loss.beta=x"}, R"(loss.beta=x: expected a number, found a string "x")"},
      {"dpo", {"loss=3"}, "loss=3: loss is a group of keys: name, beta, label_smoothing"},
      {"dpo",
       {"loss.name=dpoo"},
       R"(loss.name=dpoo: must be one of dpo, ipo, simpo, not "dpoo"; did you mean dpo?)"},
      {"dpo", {"steps=many"}, R"(steps=many: expected an integer, found a string "many")"},
      {"dpo",
       {"eval=https://me:pw@host/x"},
       "eval=...: a URL with a user or password; a config holds no secrets"},
      {"dpo", {"model=x", "train=x", "output="}, "output=: must not be empty"},
      {"dpo",
       {"model=x", "train=x", "output=x", "eval_every=3"},
       "eval_every=3 wants held-out records, and eval is null"},
      {"dpo",
       {"model=x", "train=x", "output=x", "samples.every=3"},
       "samples.every=3 wants prompts to answer, and samples.prompts is null"},
      {"dpo",
       {"model=x", "train=x", "output=x", "loss.name=simpo", "reference=y"},
       "reference=y would not be read: loss.name=simpo has no reference"},
      {"dpo",
       {"model=x", "train=x", "output=x", "loss.name=simpo", "reference_logprobs=cached"},
       "reference_logprobs=cached would do nothing: loss.name=simpo has no reference"},
      {"score",
       {"dtype=int8"},
       R"(dtype=int8: must be one of float32, bfloat16, float64, fp32, bf16, not "int8")"},
      {"score", {"model=x"}, "score: input: is required (JSONL of {text}, {tokens} or {prompt, completion})"},
      {"score",
       {"hf_token=abc123"},
       "hf_token=...: unknown key that looks like a secret; a config holds none; known are model, input, "
       "specials, "
       "dtype, device, threads"},
      {"generate", {"model=x"}, "generate wants one of prompt=TEXT and input=FILE.jsonl"},
      {"generate", {"model=x", "top_p=0"}, "top_p=0: must be > 0 and <= 1, not 0"},
      {"generate", {"temperature=-1"}, "temperature=-1: must be >= 0, not -1"},
      {"generate", {"max_new_tokens=0"}, "max_new_tokens=0: must be >= 1, not 0"},
      {"tokenize",
       {"model=nothere", "input=x"},
       "nothere: no such file or folder; a tokenizer is a folder, a .gguf, a tokenizer.json or a .model"},
  };
  for (const BadCommand& bad : table) expect_refused(bad.program, bad.command, bad.error);
}

TEST(Refusals, ConfigFiles) {
  const std::vector<BadLine> table = {
      {R"({"loss": {"betta": 0.2}})",
       " loss.betta: unknown key; did you mean beta? known are name, beta, label_smoothing"},
      {R"({"steps": "many"})", R"( steps: expected an integer, found a string "many")"},
      {R"({"steps": 1, "steps": 2})", R"(1:23: the key "steps" stands twice)"},
      {R"({"loss": 3})", " loss: expected an object, found an integer"},
      {R"([])", " expected an object, found an array"},
  };
  for (const BadLine& bad : table) {
    const TempDir dir;
    const std::string config = file_of(dir, "config.json", {bad.line});
    expect_refused("dpo", {config}, config + ":" + bad.error);
  }
}

TEST(Refusals, Pairs) {
  PREFER_NEEDS(stories260k());
  const std::vector<BadLine> table = {
      {R"({"prompt": "a", "chosen": " b"})", R"(2:1: "rejected" is missing)"},
      {R"({"prompt": "a", "chosen": " b", "rejected": " b"})", "2:1: chosen equals rejected"},
      {R"({"prompt": "a", "chosen": " b", "rejected": " "})", "2:1: rejected is empty"},
      {R"({"prompt": "a", "chosen": 3, "rejected": " b"})",
       "2:27: must be a string or a list of messages, not an integer"},
      {R"([1])", "2:1: a record must be an object, not an array"},
  };
  for (const BadLine& bad : table) {
    const TempDir dir;
    const std::string pairs = file_of(dir, "pairs.jsonl", {kPair, bad.line});
    expect_refused("dpo", dpo_command(pairs, dir / "out"), pairs + ":" + bad.error);
    const Ran skipping = run("dpo", dpo_command(pairs, dir / "out", {"on_bad=skip", "steps=1"}));
    EXPECT_EQ(skipping.code, 0) << skipping.err;
    EXPECT_NE(skipping.err.find("1 skipped"), std::string::npos) << skipping.err;
  }
}

TEST(Refusals, DataThatTeachesNothing) {
  PREFER_NEEDS(stories260k());
  const TempDir dir;
  const std::string none = file_of(dir, "none.jsonl", {}), one = file_of(dir, "one.jsonl", {kPair});
  expect_refused("dpo", dpo_command(none, dir / "out"), none + ": no pair to train on");
  expect_refused(
      "dpo", dpo_command(one, dir / "out", {"max_length=2"}),
      one + ": no pair to train on; 1 skipped: no token of an answer is left after max_length (1: " + one +
          ":1:1)");
  const std::string nowhere = dir / "x";
  expect_refused("dpo", dpo_command(nowhere, dir / "out"),
                 nowhere + ": could not open: No such file or directory");
}

TEST(Refusals, DataThatTheModelHasNoRoomFor) {
  PREFER_NEEDS(stories260k());
  const TempDir dir;
  std::string words;
  for (int i = 0; i < 600; ++i) words += " a";
  const std::string pairs =
      file_of(dir, "long.jsonl",
              {kPair, dump(Json::object({{"prompt", "One day"}, {"chosen", words}, {"rejected", " b"}}))});
  const Ran ran = run("dpo", dpo_command(pairs, dir / "out", {"max_length=0"}));
  EXPECT_EQ(ran.code, 1);
  EXPECT_TRUE(last_line(ran.err).ends_with(" tokens, and the context of " + stories260k().string() +
                                           " is 512; max_length=512 cuts it"))
      << ran.err;
  const Ran cut = run("dpo", dpo_command(pairs, dir / "out", {"max_length=512", "steps=1"}));
  EXPECT_EQ(cut.code, 0) << cut.err;

  const std::string small = dir / "small";  // knows 23 tokens
  PosixFs fs;
  save_model(fs, small, *tiny_model(at::kFloat), {});
  const std::string one = file_of(dir, "one.jsonl", {kPair});
  const Ran other = run("dpo", dpo_command(one, dir / "other", {"reference=" + small}));
  EXPECT_EQ(other.code, 1);
  EXPECT_TRUE(last_line(other.err).starts_with("error: " + one + ": has token ")) << other.err;
  EXPECT_TRUE(last_line(other.err).ends_with(", and the vocabulary of " + small +
                                             " is 0..22; its tokenizer belongs to another model"))
      << other.err;
}

TEST(Refusals, WhatARunWouldReadLaterIsReadFirst) {
  PREFER_NEEDS(stories260k());
  const TempDir dir;
  const std::string one = file_of(dir, "one.jsonl", {kPair});
  expect_refused("dpo", dpo_command(one, dir / "out", {"samples.prompts=" + (dir / "nowhere")}),
                 (dir / "nowhere") + ": could not open: No such file or directory");
  EXPECT_FALSE(std::filesystem::exists(dir / "out"));  // so that the same command, mended, is not refused
}

TEST(Refusals, TextsAndTokens) {
  PREFER_NEEDS(stories260k());
  struct Case {
    const char* program;
    BadLine line;
  };
  const std::vector<Case> table = {
      {"score", {R"({"tokens": [1, 2, 512]})", "1:19: a token id lies in 0..511, not 512"}},
      {"score", {R"({"tokens": [1.5]})", "1:13: expected an integer, found a number"}},
      {"score", {R"({"tokens": []})", "1:1: there are no tokens to score"}},
      {"score", {R"({"words": "a"})", R"(1:1: "text" is missing)"}},
      {"score", {R"({"prompt": "a"})", R"(1:1: "completion" is missing)"}},
      {"score",
       {"{\"text\": \"\xff\"}",
        "1:11: syntax error while parsing value - invalid string: ill-formed UTF-8 byte"}},
      {"tokenize", {R"({"ids": [-1]})", "1:10: a token id lies in 0..511, not -1"}},
      {"tokenize",
       {R"({"messages": [{"role": "user", "content": "hi"}]})",
        "1:14: the tokenizer has no chat template; messages need one"}},
      {"generate",
       {R"({"messages": [{"role": "user", "content": "hi"}]})",
        "1:14: the tokenizer has no chat template; messages need one"}},
      {"generate", {R"({"messages": []})", "1:14: there are no messages"}},
      {"generate", {R"({"text": "a"})", R"(1:1: "prompt" is missing)"}},
  };
  for (const Case& bad : table) {
    const TempDir dir;
    const std::string input = file_of(dir, "in.jsonl", {bad.line.line});
    expect_refused(bad.program, {"model=" + stories260k().string(), "input=" + input},
                   input + ":" + bad.line.error);
  }
}

TEST(Refusals, OutputThatCannotBeWritten) {
  PREFER_NEEDS(stories260k());
  const TempDir dir;
  const std::string input = file_of(dir, "in.jsonl", {R"({"text": "a"})"});
  const std::string command = std::string(PREFER_BIN_DIR "/tokenize model=") + stories260k().string() +
                              " input=" + input + " > /dev/full 2> " + (dir / "err");
  const int status = std::system(command.c_str());
  PosixFs fs;
  EXPECT_EQ(WEXITSTATUS(status), 1);
  EXPECT_EQ(read_file(fs, dir / "err", 1 << 16), "error: could not write to the standard output\n");
}

}  // namespace
}  // namespace prefer::testing
