// Agrees on the names that any rank has, then adds the sums up.
#include "prefer/train/team_metrics.hpp"

#include <numeric>
#include <set>

namespace prefer {
namespace {

/// The texts of all ranks, in the order of the ranks.
std::vector<std::string> gather(const std::string& mine, Team& team) {
  std::vector<Tensor> lengths = {at::zeros({team.size()}, at::kLong)};
  lengths[0][team.rank()] = static_cast<int64_t>(mine.size());
  team.reduce(lengths);
  const auto* length = lengths[0].const_data_ptr<int64_t>();
  std::vector<Tensor> letters = {
      at::zeros({std::accumulate(length, length + team.size(), int64_t{0})}, at::kLong)};
  auto* letter = letters[0].mutable_data_ptr<int64_t>();
  const int64_t begin = std::accumulate(length, length + team.rank(), int64_t{0});
  for (std::size_t i = 0; i < mine.size(); ++i) letter[begin + static_cast<int64_t>(i)] = mine[i];
  team.reduce(letters);
  std::vector<std::string> result;
  for (int rank = 0; rank < team.size(); ++rank) {
    std::string text;
    for (int64_t i = 0; i < length[rank]; ++i) text += static_cast<char>(*letter++);
    result.push_back(text);
  }
  return result;
}

std::set<std::string> all_names(const Metrics& mine, Team& team) {
  std::string lines;
  for (const auto& [name, _] : mine.all()) lines += name + "\n";
  std::set<std::string> result;
  for (const std::string& text : gather(lines, team)) {
    std::size_t begin = 0;
    for (std::size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
      result.insert(text.substr(begin, end - begin));
    }
  }
  return result;
}

}  // namespace

Metrics merged(const Metrics& mine, Team& team) {
  if (team.size() == 1) return mine;
  const std::set<std::string> names = all_names(mine, team);
  std::vector<Tensor> sums = {at::zeros({static_cast<int64_t>(names.size()), 2}, at::kDouble)};
  int64_t i = 0;
  for (const std::string& name : names) {
    const auto found = mine.all().find(name);
    if (found != mine.all().end()) {
      sums[0][i][0] = found->second.sum.to(at::kCPU);
      sums[0][i][1] = found->second.count;
    }
    ++i;
  }
  team.reduce(sums);
  Metrics result;
  i = 0;
  for (const std::string& name : names) {
    result.add(name, sums[0][i][0], sums[0][i][1].item<double>());
    ++i;
  }
  return result;
}

}  // namespace prefer
