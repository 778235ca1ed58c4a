// The routes of the CPU's matrix products.
#include "prefer/ops/gemm.hpp"

#include "kernels/few_rows/few_rows.hpp"
#include "kernels/isa.hpp"
#include "prefer/ops/linear.hpp"
#include "src/ops/library_call.hpp"
#include "src/ops/packed.hpp"
#include "src/ops/row_blocks.hpp"

#include <atomic>

namespace prefer {
namespace {

const char* name_of(GemmRoute route) { return route == GemmRoute::onednn ? "onednn" : "aten"; }

std::atomic<int>& chosen() {
  static std::atomic<int> routes{-1};  // two bits; -1: none was set
  return routes;
}

}  // namespace

std::string GemmRoutes::name() const {
  return std::string("fp32 ") + name_of(fp32) + ", bf16 " + name_of(bf16);
}

std::string instruction_sets() {
  const std::string tiles = kernels::few_rows::amx::supported() ? "+amx" : "";
  return kernels::name(kernels::best_isa()) + tiles;
}

GemmRoutes default_gemm_routes() {
  // Packed weights keep the bits of a row whatever the rows beside it, which MKL does not.
  const auto packed_from = [](kernels::Isa isa) {
    return kernels::supported(isa) ? GemmRoute::onednn : GemmRoute::aten;
  };
  return {packed_from(kernels::Isa::avx2), packed_from(kernels::Isa::avx512)};
}

void set_gemm_routes(const GemmRoutes& routes) {
  chosen() = (routes.fp32 == GemmRoute::onednn ? 1 : 0) + (routes.bf16 == GemmRoute::onednn ? 2 : 0);
}

GemmRoutes gemm_routes() {
  const int set = chosen();
  if (set < 0) {
    static const GemmRoutes by_cpu = default_gemm_routes();
    return by_cpu;
  }
  return {set & 1 ? GemmRoute::onednn : GemmRoute::aten, set & 2 ? GemmRoute::onednn : GemmRoute::aten};
}

namespace gemm {

GemmRoute route_of(const Tensor& t) {
  if (!t.device().is_cpu()) return GemmRoute::aten;
  if (t.scalar_type() == at::kFloat) return gemm_routes().fp32;
  if (t.scalar_type() == at::kBFloat16) return gemm_routes().bf16;
  return GemmRoute::aten;
}

Tensor packed_product(const Tensor& x, const Packed& packed) {
  using Signature = Tensor(const Tensor&, const Tensor&, const std::optional<Tensor>&, std::string_view,
                           c10::List<std::optional<at::Scalar>>, std::optional<std::string_view>);
  static const LibraryCall<Signature> linear("mkldnn::_linear_pointwise");
  return linear(x, packed.form, std::nullopt, "none", c10::List<std::optional<at::Scalar>>(), "");
}

}  // namespace gemm

namespace {

bool same_rows(const Matrix& w, const Tensor& x, const Tensor& whole) {
  for (const int64_t m : {1, 2, 3, 5, 8, 13, 16, 33}) {
    if (!at::equal(times_transposed(x.narrow(0, 0, m), w), whole.narrow(0, 0, m))) return false;
    const int64_t last = x.size(0) - m;
    if (!at::equal(times_transposed(x.narrow(0, last, m), w), whole.narrow(0, last, m))) return false;
  }
  return true;
}

/// The number of threads, put back whatever is thrown.
class Threads {
 public:
  ~Threads() { put_back(); }
  void put_back() const { at::set_num_threads(number_); }

 private:
  int number_ = at::get_num_threads();
};

}  // namespace

InvarianceReport self_test_invariance(at::ScalarType dtype) {
  InvarianceReport report;
  const Threads threads;
  for (const auto& [in, out] : {std::pair<int64_t, int64_t>{576, 192}, {1536, 64}, {64, 1536}, {256, 31}}) {
    const Tensor x = gemm::cancelling_rows(67, in, dtype);
    const Matrix w(gemm::cancelling_weight(out, in, dtype));
    const Tensor whole = times_transposed(x, w);
    report.rows = report.rows && same_rows(w, x, whole);
    at::set_num_threads(1);
    const Matrix again(w.weight().clone());  // packed for one thread
    report.threads = report.threads && at::equal(times_transposed(x, again), whole);
    threads.put_back();
  }
  const std::string where = std::string(" (") + c10::toString(dtype) + ", " + gemm_routes().name() + ")";
  if (!report.rows)
    report.broken.push_back("a row's bits depend on how many rows are multiplied with it" + where);
  if (!report.threads)
    report.broken.push_back("products of some shapes have other bits with another number of threads" + where);
  return report;
}

}  // namespace prefer
