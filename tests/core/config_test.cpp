// Closed configs: reading, overriding, writing, explaining, and every way of being wrong.
#include "prefer/core/config.hpp"

#include "prefer/core/program.hpp"
#include "support/error.hpp"
#include "support/temp_dir.hpp"

#include <gtest/gtest.h>

#include <fstream>

namespace prefer {
namespace {

using testing::error_of;

struct Sigmoid {
  double beta = 0.1;
  double label_smoothing = 0;
  void describe(Fields& f) {
    f("beta", beta, "pull towards the reference", positive());
    f("label_smoothing", label_smoothing, "share of wrong labels", within(0, 0.5));
  }
};
struct Hinge {
  double margin = 1;
  void describe(Fields& f) { f("margin", margin, "wanted gap", non_negative()); }
};
struct LossChoice {
  std::string name = "sigmoid";
  Sigmoid sigmoid;
  Hinge hinge;
  void describe(Fields& f) {
    f.choice("name", name, "which loss",
             {{"sigmoid", [&](Fields& g) { sigmoid.describe(g); }},
              {"hinge", [&](Fields& g) { hinge.describe(g); }}});
  }
};
struct Config {
  std::string model;
  std::vector<std::string> train = {"a.jsonl"};
  std::optional<std::string> reference;
  std::optional<double> clip = 1.0;
  std::optional<std::int64_t> limit;
  std::int64_t steps = 100;
  int threads = 0;
  bool resume = false;
  std::string dtype = "float32";
  std::int64_t max_new_tokens = 20;
  LossChoice loss;
  void describe(Fields& f) {
    f("model", model, "folder or GGUF", required());
    f("train", train, "data files");
    f("reference", reference, "another model");
    f("clip", clip, "gradient norm", positive());
    f("limit", limit, "records");
    f("steps", steps, "optimizer steps", at_least(1));
    f("threads", threads, "0: all", non_negative());
    f("resume", resume, "go on");
    f("dtype", dtype, "numbers", one_of({"float32", "bfloat16"}));
    f("max_new_tokens", max_new_tokens, "length");
    f.group("loss", loss);
  }
  void check() const {
    if (loss.name == "hinge" && clip) fail("loss.name=hinge wants clip=null");
  }
};

Config read(std::string text, const Overrides& overrides = {}) {
  return read_config<Config>(text.empty() ? Json() : parse_json(text, "dpo.json", JsonLimits::config()),
                             overrides, "dpo.json");
}
std::string complaint(const std::string& text, const Overrides& overrides = {}) {
  return error_of([&] { read(text, overrides); });
}
const Overrides kModel = {{"model", "m"}};
Overrides with(std::string path, std::string value) {
  Overrides overrides = kModel;
  overrides[path] = value;
  return overrides;
}

TEST(Config, ReadsEveryType) {
  const Config c =
      read(R"({"model":"m","train":["x","y"],"reference":"r","clip":null,"limit":7,"steps":5,"threads":2,
                           "resume":true,"dtype":"bfloat16","loss":{"beta":2,"label_smoothing":0.25}})");
  EXPECT_EQ(c.model, "m");
  EXPECT_EQ(c.train, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(c.reference, "r");
  EXPECT_EQ(c.clip, std::nullopt);
  EXPECT_EQ(c.limit, 7);
  EXPECT_EQ(c.steps, 5);
  EXPECT_EQ(c.threads, 2);
  EXPECT_TRUE(c.resume);
  EXPECT_EQ(c.dtype, "bfloat16");
  EXPECT_EQ(c.loss.sigmoid.beta, 2.0);  // a number takes an integer
  EXPECT_EQ(c.loss.sigmoid.label_smoothing, 0.25);
  EXPECT_EQ(c.max_new_tokens, 20);  // not given: the default
}

TEST(Config, OverridesWinAndKeepTheirType) {
  const Config c = read(R"({"model":"m","loss":{"beta":0.3}})", {{"model", "123"},
                                                                 {"train", "x,y"},
                                                                 {"reference", "null"},
                                                                 {"clip", "2"},
                                                                 {"limit", "-3"},
                                                                 {"resume", "true"},
                                                                 {"loss.beta", "1e-3"}});
  EXPECT_EQ(c.model, "123");
  EXPECT_EQ(c.train, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(c.reference, std::nullopt);
  EXPECT_EQ(c.clip, 2.0);
  EXPECT_EQ(c.limit, -3);
  EXPECT_TRUE(c.resume);
  EXPECT_EQ(c.loss.sigmoid.beta, 1e-3);
  EXPECT_EQ(read("", with("train", R"(["a,b"])")).train, std::vector<std::string>{"a,b"});
  EXPECT_EQ(read("", with("train", "")).train, std::vector<std::string>{});
  EXPECT_EQ(read(R"({"model":"m","train":"one"})").train, std::vector<std::string>{"one"});
}

TEST(Config, AChoiceSelectsItsFields) {
  Config c = read(R"({"model":"m","clip":null,"loss":{"margin":2,"name":"hinge"}})");
  EXPECT_EQ(c.loss.hinge.margin, 2);
  Overrides overrides = with("loss.name", "hinge");
  overrides["clip"] = "null";
  overrides["loss.margin"] = "3";
  c = read("", overrides);
  EXPECT_EQ(c.loss.hinge.margin, 3);
  EXPECT_EQ(dump(config_json(c).at("loss")), R"({"name":"hinge","margin":3.0})");
  EXPECT_EQ(complaint(R"({"model":"m","loss":{"margin":2}})"),
            "dpo.json: loss.margin: unknown key; known are name, beta, label_smoothing");
  EXPECT_EQ(complaint("", with("loss.name", "hing")),
            "loss.name=hing: must be one of sigmoid, hinge, not \"hing\"; did you mean hinge?");
}

TEST(Config, AnotherChoiceThanTheFilesLeavesWhatTheFileSaysOfIts) {
  const Overrides hinge = with("loss.name", "hinge");
  const std::string sigmoid = R"({"model":"m","clip":null,"loss":{"name":"sigmoid","beta":0.3}})";
  EXPECT_EQ(read(sigmoid, hinge).loss.hinge.margin, 1);
  EXPECT_EQ(read(sigmoid, with("loss.name", "sigmoid")).loss.sigmoid.beta, 0.3);
  EXPECT_EQ(read(R"({"model":"m","clip":null,"loss":{"beta":0.3}})", hinge).loss.name, "hinge");
  EXPECT_EQ(complaint(R"({"model":"m","clip":null,"loss":{"name":"sigmoid","bta":0.3}})", hinge),
            "dpo.json: loss.bta: unknown key; known are name, margin");
  Overrides both = hinge;
  both["loss.beta"] = "0.2";
  EXPECT_EQ(complaint(sigmoid, both), "loss.beta=0.2: unknown key; known are name, margin");
}

TEST(Config, UnknownKeys) {
  EXPECT_EQ(
      complaint(R"({"model":"m","loss":{"betta":1}})"),
      "dpo.json: loss.betta: unknown key; did you mean loss.beta? known are name, beta, label_smoothing");
  EXPECT_EQ(complaint("", with("loss.betta", "0.3")),
            "loss.betta=0.3: unknown key; did you mean loss.beta? known are name, beta, label_smoothing");
  const std::string known =
      "known are model, train, reference, clip, limit, steps, threads, resume, dtype, max_new_tokens, loss";
  EXPECT_EQ(complaint(R"({"modle":"m"})"), "dpo.json: modle: unknown key; did you mean model? " + known);
  EXPECT_EQ(complaint(R"({"model":"m","beta":1})"),
            "dpo.json: beta: unknown key; did you mean loss.beta? " + known);
  EXPECT_EQ(complaint("", with("label_smothing", "1")),
            "label_smothing=1: unknown key; did you mean loss.label_smoothing? " + known);
  for (const auto& [theirs, ours] :
       {std::pair("max_steps", "steps"), {"bf16", "dtype"}, {"loss_type", "loss.name"}})
    EXPECT_EQ(complaint("", with(theirs, "1")),
              std::string(theirs) + "=1: unknown key; did you mean " + ours + "? " + known);
  EXPECT_EQ(complaint("", with("save_steps", "1")), "save_steps=1: unknown key; " + known);  // there is none
  EXPECT_EQ(complaint("", with("ls", "1")), "ls=1: unknown key; did you mean loss.label_smoothing? " + known);
  EXPECT_EQ(
      complaint("", with("loss.ls", "1")),
      "loss.ls=1: unknown key; did you mean loss.label_smoothing? known are name, beta, label_smoothing");
  EXPECT_EQ(complaint("", with("los.beta", "1")), "los.beta=1: unknown key; did you mean loss? " + known);
  EXPECT_EQ(complaint("", with("qqq", "a b\n")), "qqq=\"a b\\n\": unknown key; " + known);
  EXPECT_EQ(complaint("", with("loss", "1")), "loss=1: loss is a group of keys: name, beta, label_smoothing");
  EXPECT_EQ(complaint("", with("steps.x", "1")), "steps.x=1: steps is a key, not a group of keys");
  EXPECT_NE(complaint("", with("", "1")), "");
  EXPECT_NE(complaint("", with("loss.", "1")), "");
  EXPECT_NE(complaint("", with(".", "1")), "");
}

TEST(Config, WrongTypes) {
  const auto one = [](const std::string& member) { return complaint("{\"model\":\"m\"," + member + "}"); };
  EXPECT_EQ(one(R"("steps":3.5)"), "dpo.json: steps: expected an integer, found a number 3.5");
  EXPECT_EQ(one(R"("steps":"3")"), "dpo.json: steps: expected an integer, found a string \"3\"");
  EXPECT_EQ(one(R"("steps":null)"), "dpo.json: steps: expected an integer, found null");
  EXPECT_EQ(one(R"("resume":1)"), "dpo.json: resume: expected true or false, found an integer 1");
  EXPECT_EQ(one(R"("train":[1])"), "dpo.json: train: expected a string, found an integer 1");
  EXPECT_EQ(one(R"("train":{})"), "dpo.json: train: expected a list of strings, found an object");
  EXPECT_EQ(one(R"("loss":3)"), "dpo.json: loss: expected an object, found an integer");
  EXPECT_EQ(one(R"("threads":5000000000)"), "dpo.json: threads: 5000000000 does not fit 32 signed bits");
  EXPECT_EQ(one(R"("steps":1e999)"), "dpo.json:1:22: a number beyond the range of a double");
  EXPECT_EQ(complaint("", with("steps", "1.5")), "steps=1.5: expected an integer, found a number 1.5");
  EXPECT_EQ(complaint("", with("resume", "yes")),
            "resume=yes: expected true or false, found a string \"yes\"");
  for (const char* text : {"", "abc", "nan", "inf", "1e999", "1 ", "0x10", "1,5"})
    EXPECT_NE(complaint("", with("loss.beta", text)), "") << text;
  EXPECT_EQ(complaint("[]"), "dpo.json: expected an object, found an array");
}

TEST(Config, Rules) {
  EXPECT_EQ(complaint("", with("loss.beta", "0")), "loss.beta=0: must be > 0, not 0");
  EXPECT_EQ(complaint("", with("loss.label_smoothing", "0.6")),
            "loss.label_smoothing=0.6: must be 0 .. 0.5, not 0.6");
  EXPECT_EQ(complaint(R"({"model":"m","steps":0})"), "dpo.json: steps: must be >= 1, not 0");
  EXPECT_EQ(complaint(R"({"model":"m","clip":-1})"), "dpo.json: clip: must be > 0, not -1");
  EXPECT_EQ(complaint("", {}), "dpo.json: model: is required (folder or GGUF)");
  EXPECT_EQ(complaint("", with("loss.name", "hinge")), "loss.name=hinge wants clip=null");
  const Rule both = positive() & within(-1, 3) & required();
  EXPECT_EQ(both.text(), "> 0 and <= 3, required");
  EXPECT_TRUE(both.above_low);
}

TEST(Config, AKeysFirstWordFindsIt) {
  EXPECT_NE(complaint("", with("max", "5")).find("did you mean max_new_tokens?"), std::string::npos);
}

TEST(Config, FreeTextMayHoldAnything) {
  struct Asked {
    std::string text;
    void describe(Fields& f) { f("text", text, "a text", free_text()); }
  };
  const std::string url = "https://me:hunter2@host/x";
  EXPECT_EQ(read_config<Asked>(Json(), {{"text", url}}).text, url);
}

TEST(Config, SecretsAreRefusedUnseen) {
  for (const char* key : {"hf_token", "API_KEY", "password", "aws_secret", "credentials"}) {
    const std::string message = complaint("", with(key, "hunter2"));
    EXPECT_NE(message.find("looks like a secret"), std::string::npos) << message;
    EXPECT_EQ(message.find("hunter2"), std::string::npos);
    const std::string in_file = complaint(std::string("{\"model\":\"m\",\"") + key + "\":\"hunter2\"}");
    EXPECT_NE(in_file.find("looks like a secret"), std::string::npos) << in_file;
    EXPECT_EQ(in_file.find("hunter2"), std::string::npos);
  }
  EXPECT_NE(complaint("", with("max_new_token", "5")).find("did you mean max_new_tokens?"),
            std::string::npos);
  EXPECT_EQ(complaint("", with("reference", "https://me:hunter2@host/x")),
            "reference=...: a URL with a user or password; a config holds no secrets");
  EXPECT_EQ(complaint(R"({"model":"m","train":["s3://k@b/x"]})"),
            "dpo.json: train: a URL with a user or password; a config holds no secrets");
  EXPECT_EQ(complaint("", with("reference", "https://host/a@b")), "");
}

TEST(Config, WritesAllKeysInOrderAndHashesThem) {
  const Config c = read("", kModel);
  const Json resolved = config_json(c);
  EXPECT_EQ(
      dump(resolved),
      R"({"model":"m","train":["a.jsonl"],"reference":null,"clip":1.0,"limit":null,"steps":100,"threads":0,)"
      R"("resume":false,"dtype":"float32","max_new_tokens":20,)"
      R"("loss":{"name":"sigmoid","beta":0.1,"label_smoothing":0.0}})");
  EXPECT_EQ(config_json(read_config<Config>(resolved)), resolved);
  EXPECT_EQ(config_hash(resolved).size(), 64u);
  EXPECT_NE(config_hash(resolved), config_hash(config_json(read("", with("steps", "101")))));
}

TEST(Config, Explains) {
  Config config;
  const std::string text = explain_fields([&](Fields& f) { config.describe(f); });
  const auto column = [&](const std::string& word) {
    const std::size_t at = text.find(word);
    EXPECT_NE(at, std::string::npos) << word << "\n" << text;
    return at - (text.rfind('\n', at) + 1);
  };
  EXPECT_EQ(column("[sigmoid] pull"), column("folder or GGUF"));
  EXPECT_EQ(column("[hinge] wanted gap"), column("meaning"));
  EXPECT_EQ(column("float32 | bfloat16"), column("rule"));
  EXPECT_EQ(column("sigmoid | hinge"), column("required"));
  EXPECT_EQ(column("[\"a.jsonl\"]"), column("default"));
  EXPECT_EQ(column("loss.margin"), 0u);
}

TEST(Config, AFieldDeclaredTwiceIsABug) {
  struct Twice {
    double a = 0;
    void describe(Fields& f) {
      f("a", a, "");
      f("a", a, "");
    }
  };
  EXPECT_THROW(read_config<Twice>(Json()), std::logic_error);
}

TEST(Program, Arguments) {
  const char* argv[] = {"/x/dpo", "runs/a=b.json", "a.b=1", "c==2=", "a.b=3"};
  const Arguments a = parse_arguments(5, argv);
  EXPECT_EQ(a.program, "dpo");
  EXPECT_EQ(a.config, "runs/a=b.json");
  EXPECT_EQ(a.overrides, (Overrides{{"a.b", "3"}, {"c", "=2="}}));
  const auto refused = [](std::vector<const char*> words) {
    words.insert(words.begin(), "dpo");
    return error_of([&] { parse_arguments(static_cast<int>(words.size()), words.data()); });
  };
  EXPECT_NE(refused({"--steps", "3"}), "");
  EXPECT_NE(refused({"--steps=3"}), "");
  EXPECT_NE(refused({"a=1", "c.json"}), "");
  EXPECT_NE(refused({"c.json", "d.json"}), "");
  EXPECT_EQ(refused({"c.json", "--help"}), "");
}

TEST(Program, ReadsTheFileAndMapsErrorsToExitCodes) {
  const testing::TempDir dir;
  const std::string path = dir / "c.json";
  std::ofstream(path) << R"({"model":"m","steps":5})";
  std::int64_t steps = 0;
  const auto run = [&](std::vector<const char*> words) {
    words.insert(words.begin(), "dpo");
    ::testing::internal::CaptureStderr();
    const int code =
        run_program<Config>(static_cast<int>(words.size()), words.data(), [&](const Config& config) {
          steps = config.steps;
          if (config.resume && config.steps == 6)
            throw std::runtime_error("can't allocate memory: 9 bytes\nframe");
          if (config.resume) throw std::runtime_error("bug\nframe");
        });
    return std::pair(code, ::testing::internal::GetCapturedStderr());
  };
  EXPECT_EQ(run({path.c_str()}), std::pair(0, std::string()));
  EXPECT_EQ(steps, 5);
  EXPECT_EQ(run({path.c_str(), "steps=6"}).first, 0);
  EXPECT_EQ(steps, 6);
  EXPECT_EQ(run({path.c_str(), "steps=0"}),
            std::pair(1, std::string("error: steps=0: must be >= 1, not 0\n")));
  EXPECT_EQ(run({path.c_str(), "resume=true"}), std::pair(2, std::string("internal error: bug\n")));
  EXPECT_EQ(
      run({path.c_str(), "resume=true", "steps=6"}),
      std::pair(2, std::string("error: out of memory; smaller batches and shorter texts need less: can't "
                               "allocate memory: 9 bytes\n")));
  EXPECT_EQ(run({}), std::pair(1, std::string("error: dpo: model: is required (folder or GGUF)\n")));
  EXPECT_EQ(run({"missing.json"}).first, 1);
  ::testing::internal::CaptureStdout();
  EXPECT_EQ(run({"--help"}).first, 0);
  EXPECT_EQ(
      ::testing::internal::GetCapturedStdout().rfind("usage: dpo [config.json] [key.path=value ...]\n", 0),
      0u);
}

TEST(Config, NearestWord) {
  EXPECT_EQ(nearest("leraning_rate", {"steps", "learning_rate"}), "learning_rate");
  EXPECT_EQ(nearest("x", {"y", "steps"}), "");
  EXPECT_EQ(nearest("gpu", {"cpu", "cuda"}), "");  // another word, not a slip
  EXPECT_EQ(nearest("cup", {"cpu", "cuda"}), "cpu");
  EXPECT_EQ(nearest("bata", {"beta", "data"}), "beta");  // the first of equals
  EXPECT_EQ(nearest(std::string(100'000, 'a'), {"beta"}), "");
}

}  // namespace
}  // namespace prefer
