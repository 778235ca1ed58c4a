// Compiles the file named by the macro PREFER_KERNEL_BODY three times, in namespaces portable, avx2 and
// avx512 of the namespace that includes this, each behind kernels/vector.inl and with that instruction set
// switched on.
//
// The body must be free of calls to inline functions or templates of the standard library: the linker may
// keep the copy that was compiled with AVX-512 for everyone. All it defines has internal linkage. Use:
//   #include "kernels/vector.hpp"
//   namespace prefer::kernels::x {
//   #define PREFER_KERNEL_BODY "kernels/x/x.inl"
//   #include "kernels/each_isa.inl"
//   }
// and then choose(isa, portable::f<T>, avx2::f<T>, avx512::f<T>).

namespace portable {
namespace {
#define PREFER_LANES 4
#include "kernels/vector.inl"
#include PREFER_KERNEL_BODY
#undef PREFER_LANES
}  // namespace
}  // namespace portable

#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
namespace {
#define PREFER_LANES 8
#include "kernels/vector.inl"
#include PREFER_KERNEL_BODY
#undef PREFER_LANES
}  // namespace
}  // namespace avx2
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")
namespace avx512 {
namespace {
#define PREFER_LANES 16
#include "kernels/vector.inl"
#include PREFER_KERNEL_BODY
#undef PREFER_LANES
}  // namespace
}  // namespace avx512
#pragma GCC pop_options

#undef PREFER_KERNEL_BODY
