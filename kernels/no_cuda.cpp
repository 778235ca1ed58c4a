// The CUDA twins in a build without CUDA: each throws, so that callers need no #ifdef.
#include "kernels/adamw/adamw.hpp"
#include "kernels/attention/attention.hpp"
#include "kernels/kl/kl.hpp"
#include "kernels/norm/norm.hpp"
#include "kernels/rope/rope.hpp"
#include "kernels/sample/sample.hpp"
#include "kernels/scan/scan.hpp"
#include "kernels/swiglu/swiglu.hpp"
#include "kernels/token_logprob/token_logprob.hpp"

#include <stdexcept>

// One line a kernel and direction: the twins of float and bf16.
#define PREFER_ABSENT(Args, function, T)                                                         \
  template <>                                                                                    \
  void function(const Args<T>&) {                                                                \
    throw std::runtime_error("this build has no CUDA kernels: configure with -DPREFER_CUDA=ON"); \
  }
#define PREFER_ABSENT_TWINS(Args, function) \
  PREFER_ABSENT(Args, function, float) PREFER_ABSENT(Args, function, bf16)

namespace prefer::kernels {
namespace token_logprob::cuda {
PREFER_ABSENT_TWINS(Forward, forward)
PREFER_ABSENT_TWINS(Backward, backward)
}  // namespace token_logprob::cuda
namespace norm::cuda {
PREFER_ABSENT_TWINS(Forward, forward)
PREFER_ABSENT_TWINS(Backward, backward)
}  // namespace norm::cuda
namespace rope::cuda {
PREFER_ABSENT_TWINS(Forward, forward)
}  // namespace rope::cuda
namespace swiglu::cuda {
PREFER_ABSENT_TWINS(Forward, forward)
PREFER_ABSENT_TWINS(Backward, backward)
}  // namespace swiglu::cuda
namespace adamw::cuda {
PREFER_ABSENT(Step, forward, float)
}  // namespace adamw::cuda
namespace kl::cuda {
PREFER_ABSENT_TWINS(Divergence, forward)
}  // namespace kl::cuda
namespace scan::cuda {
PREFER_ABSENT(Gae, forward, float)
}  // namespace scan::cuda
namespace sample::cuda {
PREFER_ABSENT_TWINS(Forward, forward)
}  // namespace sample::cuda
namespace attention::cuda {
PREFER_ABSENT_TWINS(Forward, forward)
PREFER_ABSENT_TWINS(Backward, backward)
}  // namespace attention::cuda
}  // namespace prefer::kernels
