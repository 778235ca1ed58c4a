// Tokens a second of generate at several batch sizes, beside the most that reading the weights once a step
// leaves room for. bench_generate model=PATH [dtype=bfloat16] [batch=["32","8","1"]]; benchmarks/generate.sh
// runs it beside transformers.
#include "prefer/prefer.hpp"
#include "support.hpp"

using namespace prefer;

namespace {

struct Config {
  std::string model, dtype = "bfloat16";
  std::vector<std::string> batch = {"32", "8", "1"};
  int64_t new_tokens = 64, rounds = 2;
  ProcessConfig process;

  void describe(Fields& f) {
    f("model", model, "Hugging Face folder or .gguf", required());
    f("dtype", dtype, "number type to compute in", dtype_rule());
    f("batch", batch, "prompts decoded together");
    f("new_tokens", new_tokens, "tokens written after each prompt", at_least(1));
    f("rounds", rounds, "the fastest of so many counts", at_least(1));
    process.describe(f);
  }
};

/// Prompts of 12 to 20 tokens that look random; benchmarks/peers/generate.py makes the same.
std::vector<Prompt> prompts_of(int64_t count, int64_t vocabulary) {
  std::vector<Prompt> prompts;
  for (int64_t i = 0; i < count; ++i) {
    Prompt prompt{{}, static_cast<uint64_t>(i)};
    for (int64_t j = 0; j < 12 + i * 5 % 9; ++j) {
      prompt.tokens.push_back(static_cast<int32_t>((i * 7919 + j * 104729 + 13) % vocabulary));
    }
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

void measure(const Transformer& model, const Config& config, int64_t batch, double read) {
  GenerateOptions options{.max_new_tokens = config.new_tokens, .batch_size = batch};
  options.stop = {-1};  // no text ends before it is full
  const std::vector<Prompt> prompts = prompts_of(batch, model.config().vocab_size);
  const double seconds =
      benchmark::best_seconds(static_cast<int>(config.rounds), [&] { generate(model, prompts, options); });
  const double written = static_cast<double>(batch * config.new_tokens);
  const double weights =
      static_cast<double>(model.parameter_count()) * static_cast<double>(c10::elementSize(model.dtype()));
  const double limit = static_cast<double>(batch) * read / weights;
  std::printf("batch %lld: %.1f tokens/s, %.0f %% of the limit of reading %.0f MB of weights a step (%.0f)\n",
              static_cast<long long>(batch), written / seconds, 100 * written / seconds / limit,
              weights / 1e6, limit);
}

}  // namespace

int main(int argc, char** argv) {
  return run_program<Config>(argc, argv, [](const Config& config) {
    Process process(config.process);
    const double read = benchmark::read_bandwidth();
    const auto model =
        load_model(process.fs(), config.model, dtype_from_name(config.dtype), process.device());
    std::printf("prefer, %s on %s; read %.1f GB/s\n", config.dtype.c_str(), process.description().c_str(),
                read / 1e9);
    generate(*model, prompts_of(2, model->config().vocab_size), {.max_new_tokens = 4, .stop = {-1}});
    for (const std::string& batch : config.batch) measure(*model, config, std::stoll(batch), read);
  });
}
