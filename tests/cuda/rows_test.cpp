// The CUDA twins of the kernels that work row by row against their references, over the cases of the CPU
// twins.
#include "tests/cuda/device.hpp"
#include "tests/kernels/adamw_cases.hpp"
#include "tests/kernels/kl_cases.hpp"
#include "tests/kernels/norm_cases.hpp"
#include "tests/kernels/rope_cases.hpp"
#include "tests/kernels/sample_cases.hpp"
#include "tests/kernels/scan_cases.hpp"
#include "tests/kernels/swiglu_cases.hpp"
#include "tests/kernels/token_logprob_cases.hpp"

namespace prefer::kernels {
namespace {

using testing::on_device;
using testing::OnDevice;
using Types = ::testing::Types<float, bf16>;

template <class T>
class CudaTokenLogprob : public token_logprob::TokenLogprob<T> {};
TYPED_TEST_SUITE(CudaTokenLogprob, Types);
TYPED_TEST(CudaTokenLogprob, IsTheReference) {
  this->compare([](auto& data) {
    on_device(data, [&](const OnDevice& there) {
      token_logprob::cuda::forward(there(data.forward()));
      token_logprob::cuda::backward(there(data.backward()));
    });
  });
}

template <class T>
class CudaNorm : public norm::Norm<T> {};
TYPED_TEST_SUITE(CudaNorm, Types);
TYPED_TEST(CudaNorm, IsTheReference) {
  this->compare([](auto& data) {
    on_device(data, [&](const OnDevice& there) {
      norm::cuda::forward(there(data.forward()));
      norm::cuda::backward(there(data.backward()));
    });
  });
}

template <class T>
class CudaRope : public rope::Rope<T> {};
TYPED_TEST_SUITE(CudaRope, Types);
TYPED_TEST(CudaRope, IsTheReference) {
  this->compare([](auto& data) {
    on_device(data, [&](const OnDevice& there) { rope::cuda::forward(there(data.args())); });
  });
}

template <class T>
class CudaSwiglu : public swiglu::Swiglu<T> {};
TYPED_TEST_SUITE(CudaSwiglu, Types);
TYPED_TEST(CudaSwiglu, IsTheReference) {
  this->compare([](auto& data) {
    on_device(data, [&](const OnDevice& there) {
      swiglu::cuda::forward(there(data.forward()));
      swiglu::cuda::backward(there(data.backward()));
    });
  });
}

template <class T>
class CudaKl : public kl::Kl<T> {};
TYPED_TEST_SUITE(CudaKl, Types);
TYPED_TEST(CudaKl, IsTheReference) {
  this->compare([](auto& data) {
    on_device(data, [&](const OnDevice& there) { kl::cuda::forward(there(data.args())); });
  });
}

TEST(CudaScan, IsTheReference) {
  scan::compare([](auto& data) {
    on_device(data, [&](const OnDevice& there) { scan::cuda::forward(there(data.args())); });
  });
}

template <class T>
class CudaSample : public sample::Sample<T> {};
TYPED_TEST_SUITE(CudaSample, Types);
TYPED_TEST(CudaSample, DrawsAsTheReference) {
  this->compare([](auto& data) {
    on_device(data, [&](const OnDevice& there) { sample::cuda::forward(there(data.args())); });
  });
}

TEST(CudaAdamw, IsTheReference) {
  for (const adamw::Case& c : adamw::kCases) {
    SCOPED_TRACE(::testing::Message() << c.size << " scale " << c.scale);
    adamw::Data<float> data(c), expected(c);
    adamw::reference::forward(expected.args());
    on_device(data, [&](const OnDevice& there) { adamw::cuda::forward(there(data.args())); });
    adamw::expect_near(data, expected);
  }
}

TEST(CudaErrors, AreThoseOfTheChecks) {
  adamw::Data<float> data({3});
  EXPECT_THROW(adamw::cuda::forward(data.args(0)), std::invalid_argument);
}

}  // namespace
}  // namespace prefer::kernels
