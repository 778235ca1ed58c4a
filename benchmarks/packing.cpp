// Packing SmolLM2's weights for oneDNN's products, as each step does: all layers' matrices of a shape one
// after another, by oneDNN and by prefer, beside a copy of as many bytes.
#include "src/ops/packing.hpp"

#include "prefer/trainers/process.hpp"
#include "src/ops/transposed.hpp"
#include "support.hpp"

namespace {

using prefer::Tensor;
namespace gemm = prefer::gemm;

void time_shape(at::ScalarType type, int64_t out, int64_t in, int64_t count, double copy) {
  std::vector<Tensor> weights;
  for (int64_t i = 0; i < count; ++i) weights.push_back(at::randn({out, in}).to(type));
  gemm::pack(weights.front()), gemm::pack_transposed(weights.front());
  const auto every = [&](auto work) {
    return [&weights, work] {
      for (const Tensor& weight : weights) work(weight);
    };
  };
  const double bytes = 2 * static_cast<double>(count) * static_cast<double>(weights.front().nbytes());
  const std::string what =
      std::to_string(count) + " of [" + std::to_string(out) + ", " + std::to_string(in) + "]";
  using prefer::benchmark::best_seconds;
  const double ours =
      prefer::benchmark::measure(what, bytes, copy, every([](const Tensor& w) { gemm::pack(w); }));
  prefer::benchmark::report_peer(
      "  by oneDNN", best_seconds(every([](const Tensor& w) { gemm::pack_by_library(w); })), ours);
  const double transposed = prefer::benchmark::measure(
      what + ", transposed", bytes, copy, every([](const Tensor& w) { gemm::pack_transposed(w); }));
  prefer::benchmark::report_peer(
      "  by oneDNN, after our own transpose",
      best_seconds(every([](const Tensor& w) { gemm::pack_by_library(gemm::transposed(w)); })),
      transposed);
}

}  // namespace

int main() {
  const prefer::Process process({.threads = 2});
  const double copy = prefer::benchmark::copy_bandwidth();
  std::printf("copy %.1f GB/s\n", copy / 1e9);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    std::printf("%s\n", c10::toString(type));
    time_shape(type, 960, 576, 30, copy);
    time_shape(type, 576, 576, 30, copy);
    time_shape(type, 3072, 576, 30, copy);
    time_shape(type, 576, 1536, 30, copy);
    time_shape(type, 49152, 576, 1, copy);
  }
}
