// Pairs of token sequences for a vocabulary of 23: prompts of several lengths, shares of one and a half.
#pragma once

#include "prefer/batch/record_source.hpp"

#include <memory>

namespace prefer::testing {

inline std::shared_ptr<const std::vector<Record>> records(int64_t n) {
  auto result = std::make_shared<std::vector<Record>>();
  for (int64_t i = 0; i < n; ++i) {
    const auto token = [&](int64_t k) { return static_cast<std::int32_t>((7 * i + 5 * k * k + 3) % 23); };
    Record record;
    for (int64_t role = 0; role < 2; ++role) {
      Sequence s;
      const int64_t prompt = 2 + i % 5;
      for (int64_t k = 0; k < prompt + 2 + (i + role) % 4; ++k)
        s.tokens.push_back(token(k + (k >= prompt ? 11 * role + 1 : 0)));
      s.scored = {{prompt, static_cast<int64_t>(s.tokens.size()), Term::completion}};
      s.role = role;
      s.share = i % 3 == 0 ? 0.5f : 1.0f;
      record.push_back(s);
    }
    result->push_back(record);
  }
  return result;
}

}  // namespace prefer::testing
