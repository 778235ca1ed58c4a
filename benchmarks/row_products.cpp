// A few rows times SmolLM2's weights in bfloat16, as decoding multiplies them: prefer's products, whose rows
// keep their bits, beside oneDNN's as they come and beside reading the weights.
#include "prefer/trainers/process.hpp"
#include "src/ops/packed.hpp"
#include "src/ops/row_blocks.hpp"
#include "support.hpp"

namespace {

using prefer::Tensor;
namespace gemm = prefer::gemm;

void time_shape(int64_t out, int64_t in, int64_t count) {
  std::vector<gemm::Packed> weights;
  for (int64_t i = 0; i < count; ++i) weights.push_back(gemm::pack(at::randn({out, in}).to(at::kBFloat16)));
  prefer::benchmark::Reader read;
  for (const int64_t rows : {1, 8, 16, 24, 32, 64}) {
    const Tensor x = at::randn({rows, in}).to(at::kBFloat16);
    const auto every = [&](auto product) {
      return [&weights, &x, product] {
        for (const gemm::Packed& weight : weights) product(x, weight);
      };
    };
    every(gemm::row_product)();  // finds out what sums alike
    const std::vector<double> seconds = prefer::benchmark::median_seconds(
        15, {every(gemm::row_product), every(gemm::packed_product), std::ref(read)});
    prefer::benchmark::report(std::to_string(rows) + " rows, " + std::to_string(count) + " of [" +
                                  std::to_string(out) + ", " + std::to_string(in) + "]",
                              2.0 * static_cast<double>(out * in * count), seconds[0],
                              read.bytes() / seconds[2]);
    prefer::benchmark::report_peer("  by oneDNN", seconds[1], seconds[0]);
  }
}

}  // namespace

int main() {
  const prefer::Process process({.threads = 2});
  const at::NoGradGuard no_grad;
  time_shape(960, 576, 30);
  time_shape(576, 576, 30);
  time_shape(3072, 576, 30);
  time_shape(576, 1536, 30);
  time_shape(49152, 576, 1);
}
