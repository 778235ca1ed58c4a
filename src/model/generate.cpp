// Continuous batching: rows of unequal age decoded together, over a cache cut into slots.
#include "prefer/model/generate.hpp"

#include "prefer/core/error.hpp"
#include "prefer/core/random.hpp"

#include <algorithm>
#include <deque>
#include <memory>
#include <numeric>

namespace prefer {
namespace {

using kernels::attention::Span;

constexpr int64_t kPrefillTokens = 2048;  // of one prefill; bounds its activations

/// A prompt whose keys and values lie in the cache for as long as one of its samples is decoded.
struct Prefilled {
  size_t prompt = 0;
  Span rows;      // of the cache
  Tensor hidden;  // [1, D] after its last token
  int64_t started = 0;
  int64_t slot = 0;
};

/// A continuation that is being decoded.
struct Row {
  std::shared_ptr<Prefilled> prefix;
  int64_t sample = 0;
  int64_t slot = 0;
  Completion text;
};

/// A text never outgrows the context, so no cache is made for more.
GenerateOptions within_context(GenerateOptions options, int64_t context) {
  options.max_new_tokens = std::min(options.max_new_tokens, context);
  return options;
}

/// Numbers 0 .. n-1, the lowest free one first.
class Slots {
 public:
  explicit Slots(int64_t n) : free_(static_cast<size_t>(n)) { std::iota(free_.rbegin(), free_.rend(), 0); }
  bool empty() const { return free_.empty(); }
  int64_t take() {
    const int64_t slot = free_.back();
    free_.pop_back();
    return slot;
  }
  void give(int64_t slot) { free_.push_back(slot); }

 private:
  std::vector<int64_t> free_;
};

class Generation {
 public:
  Generation(const Transformer& model, std::span<const Prompt> prompts, const GenerateOptions& options,
             const CompletionSink& sink);
  std::vector<std::vector<Completion>> run();

 private:
  void check() const;
  int64_t prompt_length(size_t i) const { return static_cast<int64_t>(prompts_[i].tokens.size()); }
  int64_t completion_base(const Row& row) const {
    return prompt_slots_ * longest_ + row.slot * options_.max_new_tokens;
  }
  void admit();
  void prefill();
  void start(std::vector<Tensor>& hidden);
  Tensor decode();
  void draw(const Tensor& hidden);
  void retire();

  const Transformer& model_;
  std::span<const Prompt> prompts_;
  const GenerateOptions options_;
  const CompletionSink& sink_;
  std::vector<int64_t> stop_;
  int64_t longest_ = 0;  // prompt
  int64_t prompt_slots_ = 0;
  Slots free_prompts_{0};
  Slots free_rows_{0};
  KeyValueCache cache_;
  size_t next_ = 0;  // prompt to prefill
  std::deque<std::shared_ptr<Prefilled>> waiting_;
  std::vector<Row> rows_;
  std::vector<std::vector<Completion>> results_;
};

Generation::Generation(const Transformer& model, std::span<const Prompt> prompts,
                       const GenerateOptions& options, const CompletionSink& sink)
    : model_(model),
      prompts_(prompts),
      options_(within_context(options, model.config().context)),
      sink_(sink),
      stop_(options.stop) {
  if (stop_.empty()) stop_ = model.config().eos;
  check();
  for (size_t i = 0; i < prompts.size(); ++i) longest_ = std::max(longest_, prompt_length(i));
  const int64_t all = static_cast<int64_t>(prompts.size()) * options.n;
  const int64_t batch = std::min(options.batch_size, all);
  prompt_slots_ = std::min<int64_t>(batch, static_cast<int64_t>(prompts.size()));
  free_prompts_ = Slots(prompt_slots_);
  free_rows_ = Slots(batch);
  cache_ = model.make_cache(prompt_slots_ * longest_ + batch * options_.max_new_tokens);
  results_.assign(prompts.size(), std::vector<Completion>(static_cast<size_t>(options.n)));
}

void Generation::check() const {
  if (options_.max_new_tokens < 1 || options_.n < 1 || options_.batch_size < 1) {
    fail("generate wants max_new_tokens, n and batch_size of at least 1, not ", options_.max_new_tokens,
         ", ", options_.n, " and ", options_.batch_size);
  }
  if (options_.tempered && !(options_.temperature > 0))
    fail("generate wants a temperature > 0 for tempered log-probs, not ", options_.temperature);
  for (size_t i = 0; i < prompts_.size(); ++i) {
    if (prompt_length(i) < 1 || prompt_length(i) >= model_.config().context) {
      fail("generate: prompt ", i, " has ", prompt_length(i), " tokens; a model of context ",
           model_.config().context, " continues 1 to ", model_.config().context - 1);
    }
  }
}

std::vector<std::vector<Completion>> Generation::run() {
  const at::NoGradGuard no_grad;
  while (next_ < prompts_.size() || !waiting_.empty() || !rows_.empty()) {
    std::vector<Tensor> hidden;
    if (!rows_.empty()) hidden.push_back(decode());
    start(hidden);
    draw(hidden.size() == 1 ? hidden.front() : at::cat(hidden));
    retire();
  }
  return std::move(results_);
}

// Fills free rows with samples of prefilled prompts, prefilling more where those run out.
void Generation::start(std::vector<Tensor>& hidden) {
  while (!free_rows_.empty()) {
    if (waiting_.empty()) prefill();
    if (waiting_.empty()) return;
    const std::shared_ptr<Prefilled> prefix = waiting_.front();
    rows_.push_back({prefix, prefix->started, free_rows_.take(), {}});
    hidden.push_back(prefix->hidden);
    if (++prefix->started == options_.n) waiting_.pop_front();
  }
}

void Generation::prefill() {
  std::vector<int32_t> tokens;
  std::vector<int64_t> positions, rows, last;
  Placement placement;
  while (next_ < prompts_.size() && !free_prompts_.empty() &&
         (tokens.empty() || static_cast<int64_t>(tokens.size()) + prompt_length(next_) <= kPrefillTokens)) {
    const auto begin = static_cast<int64_t>(tokens.size());
    const int64_t length = prompt_length(next_), slot = free_prompts_.take();
    const Span span{slot * longest_, length};
    tokens.insert(tokens.end(), prompts_[next_].tokens.begin(), prompts_[next_].tokens.end());
    for (int64_t i = 0; i < length; ++i) positions.push_back(i), rows.push_back(span.row + i);
    placement.runs.add(begin, length, 0, std::vector<Span>{span});
    placement.positions_end = std::max(placement.positions_end, length);
    last.push_back(begin + length - 1);
    waiting_.push_back(std::make_shared<Prefilled>(Prefilled{next_++, span, {}, 0, slot}));
  }
  if (tokens.empty()) return;
  const at::Device device = model_.device();
  placement.positions = tensor_of(positions, at::kLong).to(device);
  const Tensor hidden = model_.decode(tensor_of(tokens, at::kLong).to(device), placement,
                                      tensor_of(rows, at::kLong).to(device), cache_);
  for (size_t i = 0; i < last.size(); ++i) {
    waiting_[waiting_.size() - last.size() + i]->hidden = hidden.narrow(0, last[i], 1);
  }
}

// Hidden states after each row's newest token, which enters the cache.
Tensor Generation::decode() {
  std::vector<int64_t> tokens, positions, rows;
  Placement placement;
  for (const Row& row : rows_) {
    const auto written = static_cast<int64_t>(row.text.tokens.size());
    const int64_t position = row.prefix->rows.count + written - 1, base = completion_base(row);
    placement.runs.add(static_cast<int64_t>(tokens.size()), 1, position,
                       std::vector<Span>{row.prefix->rows, {base, written}});
    placement.positions_end = std::max(placement.positions_end, position + 1);
    tokens.push_back(row.text.tokens.back());
    positions.push_back(position);
    rows.push_back(base + written - 1);
  }
  const at::Device device = model_.device();
  placement.positions = tensor_of(positions, at::kLong).to(device);
  return model_.decode(tensor_of(tokens, at::kLong).to(device), placement,
                       tensor_of(rows, at::kLong).to(device), cache_);
}

// One more token for every row from its hidden state.
void Generation::draw(const Tensor& hidden) {
  std::vector<double> numbers;
  for (const Row& row : rows_) {
    const size_t position = static_cast<size_t>(row.prefix->rows.count) + row.text.tokens.size();
    numbers.push_back(uniform({options_.seed, options_.step, prompts_[row.prefix->prompt].record,
                               static_cast<uint32_t>(row.sample), options_.site, position}));
  }
  const Tensor logits = times_transposed(hidden, model_.head());  // [rows, V]
  const Drawn drawn = sample_tokens(
      logits, tensor_of(numbers, at::kDouble).to(logits.device()),
      {options_.temperature, options_.top_p, options_.top_k, options_.tempered, options_.entropies});
  const Tensor chosen = drawn.token.to(at::kCPU), logp = drawn.logp.to(at::kCPU, at::kFloat);
  const auto* ids = chosen.const_data_ptr<int64_t>();
  for (size_t i = 0; i < rows_.size(); ++i) {
    if (ids[i] < 0) fail("generate: the logits after prompt ", rows_[i].prefix->prompt, " are not finite");
  }
  const Tensor entropy = options_.entropies ? drawn.entropy.to(at::kCPU, at::kFloat) : Tensor();
  for (size_t i = 0; i < rows_.size(); ++i) {
    rows_[i].text.tokens.push_back(static_cast<int32_t>(ids[i]));
    rows_[i].text.logprobs.push_back(logp.const_data_ptr<float>()[i]);
    if (options_.entropies) rows_[i].text.entropies.push_back(entropy.const_data_ptr<float>()[i]);
  }
}

// Takes finished rows out, and with a prompt's last sample the prompt.
void Generation::retire() {
  std::vector<Row> going_on;
  for (Row& row : rows_) {
    const auto written = static_cast<int64_t>(row.text.tokens.size());
    row.text.ended = std::ranges::find(stop_, row.text.tokens.back()) != stop_.end();
    const bool full =
        written == options_.max_new_tokens || row.prefix->rows.count + written >= model_.config().context;
    if (!row.text.ended && !full) {
      going_on.push_back(std::move(row));
      continue;
    }
    free_rows_.give(row.slot);
    const std::shared_ptr<Prefilled> prefix = std::move(row.prefix);
    const size_t prompt = prefix->prompt;
    if (sink_) sink_(prompt, static_cast<size_t>(row.sample), row.text);
    results_[prompt][static_cast<size_t>(row.sample)] = std::move(row.text);
    const bool last = prefix.use_count() == 1;  // no other sample runs, and none waits
    if (last) free_prompts_.give(prefix->slot);
  }
  rows_ = std::move(going_on);
}

}  // namespace

void GenerateOptions::describe(Fields& f) {
  f("max_new_tokens", max_new_tokens, "tokens to write at most", at_least(1));
  f("temperature", temperature, "0 takes the likeliest token, 1 samples from the model", non_negative());
  f("top_p", top_p, "sample from the likeliest tokens whose probability adds up to this",
    positive() & within(0, 1));
  f("top_k", top_k, "sample from this many of the likeliest tokens; 0: all", at_least(0));
  f("n", n, "continuations of each prompt", within(1, 1 << 20));
  f("batch_size", batch_size, "continuations decoded at once; changes speed and memory alone", at_least(1));
}

std::vector<std::vector<Completion>> generate(const Transformer& model, std::span<const Prompt> prompts,
                                              const GenerateOptions& options, const CompletionSink& sink) {
  return Generation(model, prompts, options, sink).run();
}

}  // namespace prefer
