// Reads and checks lists of token ids.
#include "prefer/text/token_ids.hpp"

namespace prefer {

std::vector<std::int32_t> token_ids(const Json& list, const Tokenizer& tokenizer) {
  std::vector<std::int32_t> ids;
  for (const Json& item : list.as_array()) {
    const std::int64_t id = item.as_integer();
    if (id < 0 || id >= tokenizer.vocab_size()) {
      item.fail_here("a token id lies in 0..", tokenizer.vocab_size() - 1, ", not ", id);
    }
    ids.push_back(static_cast<std::int32_t>(id));
  }
  return ids;
}

}  // namespace prefer
