// Divides a loss's terms by their totals, and merges metrics.
#include "prefer/losses/loss.hpp"

#include "prefer/core/error.hpp"

namespace prefer {

Tensor Loss::divided_by(const std::map<std::string, double>& total) const {
  Tensor result;
  for (const LossTerm& term : terms) {
    const auto at = total.find(term.per);
    if (at == total.end() || !(at->second > 0)) {
      fail("loss term ", term.name, " is per ", term.per, ", and the step counts none of them");
    }
    const Tensor part = term.sum * (term.weight / at->second);  // []
    result = result.defined() ? result + part : part;
  }
  if (!result.defined()) fail("a loss wants at least one term");
  return result;
}

void Metrics::add(const std::string& name, const Tensor& sum, double count) {
  Metric& metric = metrics_[name];
  const Tensor value = sum.detach().to(at::kDouble);
  metric.sum = metric.sum.defined() ? metric.sum + value : value;
  metric.count += count;
}

void Metrics::merge(const Metrics& other, const std::string& prefix) {
  for (const auto& [name, metric] : other.all()) add(prefix + name, metric.sum, metric.count);
}

std::map<std::string, double> Metrics::values() const {
  std::map<std::string, double> result;
  if (metrics_.empty()) return result;
  std::vector<Tensor> sums;
  for (const auto& [_, metric] : metrics_) sums.push_back(metric.sum);
  const Tensor read = at::stack(sums).to(at::kCPU);
  int64_t i = 0;
  for (const auto& [name, metric] : metrics_) result[name] = read[i++].item<double>() / metric.count;
  return result;
}

}  // namespace prefer
