// Which library multiplies matrices on the CPU: chosen once by a program, named in its output, never by a
// timing.
#pragma once

#include "prefer/tensor.hpp"

#include <string>
#include <vector>

namespace prefer {

/// `aten` calls at::linear (MKL for fp32, oneDNN with a plain weight for bf16); `onednn` packs a weight once
/// for oneDNN. On AMD the packed fp32 route is 2-3 times faster than MKL, and its rows do not depend on their
/// number.
enum class GemmRoute { aten, onednn };

/// The routes of a process. f64 and CUDA always take ATen's.
struct GemmRoutes {
  GemmRoute fp32 = GemmRoute::onednn;
  GemmRoute bf16 = GemmRoute::onednn;
  /// For logs and checkpoints: "fp32 onednn, bf16 onednn".
  std::string name() const;
};

/// What this CPU gets unless a program says otherwise: a function of its instruction set.
GemmRoutes default_gemm_routes();

/// Sets the process's routes; for `main`, before the first product. Packed weights made earlier are made
/// again.
void set_gemm_routes(const GemmRoutes& routes);
GemmRoutes gemm_routes();

/// What of this CPU the bits of kernels and products depend on: "portable", "avx2", "avx512" or "avx512+amx".
std::string instruction_sets();

/// What `self_test_invariance` saw: for each promise, whether this CPU keeps it.
struct InvarianceReport {
  bool rows = true;                 ///< a product's row has the same bits whatever the number of rows
  bool threads = true;              ///< and whatever the number of threads
  std::vector<std::string> broken;  ///< one line for each promise that is off
  bool holds() const { return rows && threads; }
};

/// Multiplies small matrices of `dtype` in calls of different heights on the routes in use and compares bits:
/// some milliseconds, and tens where the library generates code first. The number of threads is put back.
InvarianceReport self_test_invariance(at::ScalarType dtype);

}  // namespace prefer
