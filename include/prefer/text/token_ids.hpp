// Token ids out of JSON records.
#pragma once

#include "prefer/core/json.hpp"
#include "prefer/text/tokenizer.hpp"

#include <cstdint>
#include <vector>

namespace prefer {

/// A list of ids of `tokenizer`. Throws Error with the place of what is none.
std::vector<std::int32_t> token_ids(const Json& list, const Tokenizer& tokenizer);

}  // namespace prefer
