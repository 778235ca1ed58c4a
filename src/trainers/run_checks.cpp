// What a run asks of the files it reads, beside each other.
#include "prefer/core/error.hpp"
#include "prefer/core/gguf.hpp"
#include "prefer/text/tokenizer.hpp"
#include "prefer/trainers/run.hpp"

#include <algorithm>

namespace prefer {
namespace {

bool has_tokenizer(Fs& fs, const std::string& path) {
  return is_gguf(fs, path) || fs.exists(join_path(path, "tokenizer.json")) ||
         fs.exists(join_path(path, "tokenizer.model"));
}

/// Whether the same ids are the same tokens.
bool same_vocabulary(const Tokenizer& a, const Tokenizer& b) {
  if (a.vocab_size() != b.vocab_size()) return false;
  for (int32_t id = 0; id < a.vocab_size(); ++id)
    if (a.token(id) != b.token(id) || a.is_special(id) != b.is_special(id)) return false;
  return true;
}

}  // namespace

bool check_tokenizer(Fs& fs, const std::string& what, const std::string& path, const Tokenizer& ours,
                     const std::string& model) {
  if (!has_tokenizer(fs, path)) return false;
  if (!same_vocabulary(*load_tokenizer(fs, path), ours))
    fail(what, "=", path, " has another tokenizer than model=", model);
  return true;
}

void Run::check_tokenizer(const std::string& what, const std::string& path, const Tokenizer& ours,
                          const std::string& model) const {
  if (!prefer::check_tokenizer(process_.fs(), what, path, ours, model))
    process_.say(what + "=" + path + " has no tokenizer: its ids are taken for those of model=" + model);
}

void check_fits(const RecordSource& source, const std::string& path, const ModelConfig& model,
                const std::string& name) {
  int32_t largest = 0;
  for (const Record& record : source.records())
    for (const Sequence& s : record) largest = std::max(largest, std::ranges::max(s.tokens));
  const int64_t longest = source.longest();
  if (longest > model.context) {
    const bool sides = source.records().front().size() > 1;
    fail(path, ": the longest ", sides ? "side" : "text", " has ", longest, " tokens, and the context of ",
         name, " is ", model.context, "; max_length=", model.context, " cuts it");
  }
  check_token(largest, path, model, name);
}

}  // namespace prefer
