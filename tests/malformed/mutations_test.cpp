// Files changed, cut, doubled and stretched at keyed random places, then read and used: the only way out is
// an Error of one line.
#include "prefer/core/random.hpp"
#include "support/data.hpp"
#include "support/error.hpp"
#include "support/temp_dir.hpp"
#include "tests/malformed/readers.hpp"
#include "tests/malformed/table.hpp"

#include <gtest/gtest.h>

#include <functional>

namespace prefer::testing {
namespace {

/// A good file of a folder, and what reads and uses it there.
struct Format {
  std::string name;
  std::string path;
  std::string bytes;
  std::function<void(const std::string& folder)> use;
};

void PrintTo(const Format& format, std::ostream* out) { *out << format.name; }

/// Draws that follow from a seed and the number of the mutation.
class Draws {
 public:
  Draws(std::uint64_t seed, std::uint64_t mutation) : key_{.seed = seed, .record = mutation} {}
  std::size_t below(std::size_t n) {
    const auto bits = random_bits(key_);
    ++key_.position;
    return n == 0 ? 0 : bits[0] % n;
  }

 private:
  RandomKey key_;
};

void overwrite(std::string& bytes, std::size_t at, const std::string& with) {
  for (std::size_t i = 0; i < with.size() && at + i < bytes.size(); ++i) bytes[at + i] = with[i];
}

/// One change of the kinds that break readers: bits, bytes with a meaning, extreme numbers, cuts, copies.
void mutate(std::string& bytes, Draws& draws) {
  static const std::string kMarks = std::string("\0\1\x7f\x80\xff", 5) + "09-.eE\"\\{}[]():,|<>%# \n";
  static const std::uint64_t kNumbers[] = {0,
                                           1,
                                           0x7f,
                                           0x80,
                                           0xffff,
                                           0x7fffffff,
                                           0x80000000,
                                           0xffffffff,
                                           0x7fffffffffffffff,
                                           0x8000000000000000,
                                           0xffffffffffffffff};
  static const std::string kWords[] = {"null", "true", "-1", "1e999",   "99999999999999999999",
                                       "\"\"", "[]",   "{}", "\\ud800", "\xed\xa0\x80"};
  const std::size_t at = draws.below(bytes.size()), n = 1 + draws.below(24), from = draws.below(bytes.size());
  switch (draws.below(9)) {
    case 0:
    case 1:
      return overwrite(bytes, at, flipped(bytes.substr(at, 1), 0, static_cast<int>(draws.below(8))));
    case 2:
      return overwrite(bytes, at, kMarks.substr(draws.below(kMarks.size()), 1));
    case 3:
      return overwrite(
          bytes, at, bytes_of(kNumbers[draws.below(std::size(kNumbers))]).substr(0, draws.below(2) ? 4 : 8));
    case 4:
      bytes.replace(at, draws.below(6), kWords[draws.below(std::size(kWords))]);
      return;
    case 5:
      bytes.erase(at, n);
      return;
    case 6:
      bytes.insert(at, bytes.substr(from, n));
      return;
    case 7:
      return overwrite(bytes, at, bytes.substr(from, n));
    default:
      if (draws.below(2))
        bytes.resize(at);
      else
        bytes += bytes.substr(from, n);
  }
}

std::function<void(const std::string&)> run_of(const std::string& program,
                                               std::vector<std::string> arguments = {}) {
  return [=](const std::string& folder) {
    std::vector<std::string> command;
    for (const std::string& word : command_of({"", program, "", {}, arguments}))
      command.push_back(placed(word, folder));
    read_as(program, command);
  };
}

std::string golden_bytes(const std::string& name) {
  PosixFs fs;
  return read_file(fs, golden(name).string(), 1 << 20);
}

const char* const kLines = R"({"text": "a b <s> aab hAé\n  12"}
{"ids": [0, 2, 10, 15]}
{"messages": [{"role": "system", "content": "a"}, {"role": "user", "content": "<s> b\n"}, {"role": "assistant", "content": null, "tool_calls": [1.5, {"x": [true]}]}]}
)";

/// Real models of SentencePiece, where they are.
void add_sentencepiece(std::vector<Format>& formats) {
  PosixFs fs;
  for (const auto& [name, path] :
       {std::pair("SentencepieceOfStories", "models/stories260K/hf/tokenizer.model"),
        std::pair("SentencepieceWithATable", "tokenizers/sentencepiece/test_model.model")})
    if (std::filesystem::exists(shared_data(path)))
      formats.push_back({name, "t.model", read_file(fs, shared_data(path).string(), 1 << 24),
                         run_of("tokenize", {"model=@/t.model", "input=@/texts.jsonl"})});
}

std::vector<Format> formats() {
  const std::string pairs =
      good_files()["pairs.jsonl"] +
      R"({"prompt": [{"role": "user", "content": "a"}], "chosen": [{"role": "assistant", "content": "b"}], "rejected": "c", "margin": 1.5})"
      "\n"
      R"({"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: a\n\nAssistant: c"})"
      "\n";
  const std::string rankings =
      std::string(kRanking) + "\n" +
      R"({"prompt": [{"role": "user", "content": "a"}], "answers": ["b", [{"role": "assistant", "content": "c"}]], "scores": [1.5, -2], "metadata": {"subset": "x"}})"
      "\n";
  const auto tokenize = run_of("tokenize", {"input=@/lines.jsonl"}), score = run_of("score");
  const auto gguf = [=](const std::string& folder) {
    run_of("tokenize", {"model=@/model.gguf", "input=@/lines.jsonl"})(folder);
    PosixFs fs;
    read_model(fs, folder + "/model.gguf");
  };
  std::vector<Format> all = {
      {"Config", "run.json", R"({"max_length": 12, "truncation": "keep_end", "append_eos": false})",
       run_of("dpo", {"@/run.json"})},
      {"ModelConfig", "model/config.json",
       config_json(
           R"(, "head_dim": 4, "rope_parameters": {"rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}, "sliding_window": null)"),
       score},
      {"Safetensors", "model/model.safetensors", model_safetensors(), score},
      {"SafetensorsOfEveryType", "f", golden_bytes("small.safetensors"),
       [](const std::string& folder) {
         PosixFs fs;
         read_weights(SafetensorsFile(fs, folder + "/f"));
       }},
      {"Index", "shards/model.safetensors.index.json",
       R"({"metadata": {"total_size": 16}, "weight_map": {"a": "a.safetensors", "b": "b.safetensors", "c": "b.safetensors"}})",
       run_of("score", {"model=@/shards"})},
      {"Gguf", "model.gguf", model_gguf(), gguf},
      {"GgufOfEveryType", "f", golden_bytes("quants.gguf"),
       [](const std::string& folder) {
         PosixFs fs;
         read_weights(GgufFile(fs, folder + "/f"));
       }},
      {"TokenizerJson", "model/tokenizer.json", tokenizer_json(), tokenize},
      {"TokenizerConfig", "model/tokenizer_config.json", kTokenizerConfig, tokenize},
      {"Template", "model/chat_template.jinja", kTemplate, tokenize},
      {"Sentencepiece", "t.model",
       tokenizer_model(proto(3, proto(2, bytes_of(1024u) + std::string(1024, '\0') + "a"))),
       run_of("tokenize", {"model=@/t.model", "input=@/texts.jsonl"})},
      {"Jsonl", "lines.jsonl", kLines, tokenize},
      {"JsonlGz", "lines.jsonl", gzip(kLines), tokenize},
      {"Pairs", "pairs.jsonl", pairs, run_of("dpo")},
      {"Rankings", "rankings.jsonl", rankings,
       run_of("reward", {"train=@/rankings.jsonl", "loss.name=plackett_luce"})},
  };
  add_sentencepiece(all);
  return all;
}

/// All files that the formats need beside their own.
void put_all(const Format& format, const std::string& folder) {
  Malformed files = index_case("", "", "");
  files.files["lines.jsonl"] = kLines;
  files.files["texts.jsonl"] = "{\"text\": \"a b <s> aab hA\xc3\xa9\\n  12\"}\n{\"ids\": [0, 3, 8]}\n";
  files.files[format.path] = format.bytes;
  put_files(files, folder);
}

/// Mutations of each format: a few in a test; PREFER_MUTATIONS for a campaign.
std::uint64_t mutations() {
  const char* asked = std::getenv("PREFER_MUTATIONS");
  return asked ? std::strtoull(asked, nullptr, 10) : 300;
}

void expect_error_at_most(const Format& format, const std::string& folder, std::uint64_t mutation) {
  try {
    format.use(folder);
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
  } catch (const std::exception& other) {
    ADD_FAILURE() << "mutation " << mutation << " of " << format.name << ": " << other.what();
  }
}

class Mutations : public ::testing::TestWithParam<Format> {};

TEST_P(Mutations, EndInAnErrorAtMost) {
  const Format& format = GetParam();
  const TempDir dir;
  put_all(format, dir.string());
  for (std::uint64_t mutation = 0; mutation < mutations() && !HasFailure(); ++mutation) {
    Draws draws(7, mutation);
    std::string bytes = format.bytes;
    for (std::size_t changes = 1 + draws.below(3); changes-- > 0 && !bytes.empty();) mutate(bytes, draws);
    std::ofstream(dir / format.path, std::ios::binary) << bytes;
    expect_error_at_most(format, dir.string(), mutation);
  }
}

INSTANTIATE_TEST_SUITE_P(Of, Mutations, ::testing::ValuesIn(formats()),
                         [](const auto& each) { return each.param.name; });

TEST(Mutations, BeginWithFilesThatAreGood) {
  for (const Format& format : formats()) {
    const TempDir dir;
    put_all(format, dir.string());
    EXPECT_EQ(error_of([&] { format.use(dir.string()); }), "") << format.name;
  }
}

}  // namespace
}  // namespace prefer::testing
