// Sums over ranks in which all but one add zeros; then sums over parts, in their order.
#include "prefer/train/parts.hpp"

#include <set>

namespace prefer {
namespace {

/// Names that any part of any rank has.
std::set<std::string> all_names(const std::map<int64_t, Metrics>& mine, Team& team) {
  std::set<std::string> own, result;
  for (const auto& [_, metrics] : mine)
    for (const auto& [name, metric] : metrics.all()) own.insert(name);
  std::string lines;
  for (const std::string& name : own) lines += name + "\n";
  for (const std::string& text : team.gather(lines)) {
    std::size_t begin = 0;
    for (std::size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
      result.insert(text.substr(begin, end - begin));
    }
  }
  return result;
}

/// Scalars in one tensor where they lie; an undefined one is zero.
Tensor stacked(std::vector<Tensor> scalars) {
  at::TensorOptions where = at::kDouble;
  for (const Tensor& scalar : scalars)
    if (scalar.defined()) where = scalar.options();
  for (Tensor& scalar : scalars)
    if (!scalar.defined()) scalar = at::zeros({}, where);
  return scalars.empty() ? at::zeros({0}, where) : at::stack(scalars);
}

}  // namespace

Tensor gathered(const std::map<int64_t, Tensor>& mine, int64_t parts, int64_t width, Team& team) {
  std::vector<Tensor> all = {at::zeros({parts, width}, at::kDouble)};  // [parts, width]
  std::vector<Tensor> rows;
  for (const auto& [_, row] : mine) rows.push_back(row.detach().to(at::kDouble).reshape({width}));
  if (!rows.empty()) {
    const Tensor read = at::stack(rows).to(at::kCPU);  // [mine, width]
    int64_t i = 0;
    for (const auto& [part, _] : mine) all[0][part].add_(read[i++]);
  }
  team.reduce(all);
  return all[0];
}

Metrics merged(const std::map<int64_t, Metrics>& mine, int64_t parts, Team& team) {
  const std::set<std::string> names = all_names(mine, team);
  const auto width = static_cast<int64_t>(names.size());
  std::map<int64_t, Tensor> sums, counts;  // [width] each
  for (const auto& [part, metrics] : mine) {
    std::vector<Tensor> sum;
    std::vector<double> count;
    for (const std::string& name : names) {
      const auto found = metrics.all().find(name);
      const bool there = found != metrics.all().end();
      sum.push_back(there ? found->second.sum.reshape({}) : Tensor());
      count.push_back(there ? found->second.count : 0);
    }
    sums[part] = stacked(sum);
    counts[part] = tensor_of(count, at::kDouble);
  }
  const Tensor all_sums = gathered(sums, parts, width, team);      // [parts, width]
  const Tensor all_counts = gathered(counts, parts, width, team);  // [parts, width]
  Tensor sum = at::zeros({width}, at::kDouble), count = at::zeros({width}, at::kDouble);
  for (int64_t part = 0; part < parts; ++part) {
    sum = sum + all_sums[part];
    count = count + all_counts[part];
  }
  Metrics result;
  int64_t column = 0;
  for (const std::string& name : names) {
    result.add(name, sum[column], count[column].item<double>());
    ++column;
  }
  return result;
}

}  // namespace prefer
