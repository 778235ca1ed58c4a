// Deals slots to ranks.
#include "prefer/dist/team.hpp"

#include <algorithm>
#include <numeric>

namespace prefer {

std::vector<int64_t> Team::mine(std::span<const int64_t> tokens) const {
  std::vector<int64_t> order(tokens.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::ranges::stable_sort(order, [&](int64_t a, int64_t b) { return tokens[a] > tokens[b]; });
  std::vector<int64_t> load(static_cast<std::size_t>(size()), 0);
  std::vector<int64_t> result;
  for (const int64_t slot : order) {
    const auto least = std::ranges::min_element(load) - load.begin();  // the first of equals
    load[least] += tokens[slot];
    if (least == rank()) result.push_back(slot);
  }
  std::ranges::sort(result);
  return result;
}

}  // namespace prefer
