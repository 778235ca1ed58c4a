// Deals slots to ranks; passes numbers, texts and errors between them.
#include "prefer/dist/team.hpp"

#include "prefer/core/error.hpp"

#include <algorithm>
#include <numeric>

namespace prefer {

std::function<void()> Team::start(Tensor tensor) {
  std::vector<Tensor> one = {std::move(tensor)};
  reduce(one);
  return [] {};
}

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

std::vector<double> Team::gather(double mine) {
  std::vector<Tensor> values = {at::zeros({size()}, at::kDouble)};
  values[0][rank()] = mine;
  reduce(values);
  const auto* value = values[0].const_data_ptr<double>();
  return {value, value + size()};
}

std::vector<std::string> Team::gather(const std::string& mine) {
  if (size() == 1) return {mine};
  const std::vector<double> length = gather(static_cast<double>(mine.size()));
  const auto total = [&](int ranks) {
    return static_cast<int64_t>(std::accumulate(length.begin(), length.begin() + ranks, 0.0));
  };
  std::vector<Tensor> letters = {at::zeros({total(size())}, at::kLong)};
  auto* letter = letters[0].mutable_data_ptr<int64_t>();
  std::ranges::copy(mine, letter + total(rank()));
  reduce(letters);
  std::vector<std::string> result;
  for (int rank = 0; rank < size(); ++rank) {
    std::string text;
    for (int64_t i = total(rank); i < total(rank + 1); ++i) text += static_cast<char>(letter[i]);
    result.push_back(text);
  }
  return result;
}

std::vector<double> Team::gather(std::span<const int64_t> mine, std::span<const double> numbers,
                                 int64_t parts) {
  std::vector<Tensor> all = {at::zeros({parts}, at::kDouble)};
  auto* number = all[0].mutable_data_ptr<double>();
  for (std::size_t i = 0; i < mine.size(); ++i) number[mine[i]] = numbers[i];
  reduce(all);
  return {number, number + parts};
}

std::string Team::agree(const std::string& mine) {
  if (!any(!mine.empty())) return "";
  for (const std::string& text : gather(mine))
    if (!text.empty()) return text;
  return "";
}

void Team::on_first(const std::function<void()>& work) {
  std::string error;
  if (first()) {
    try {
      work();
    } catch (const Error& e) {
      error = e.what();
    }
  }
  if (const std::string said = agree(error); !said.empty()) throw Error(said);
}

void Team::first_then_others(const std::function<void()>& work) {
  on_first(work);
  if (!first()) work();
}

}  // namespace prefer
