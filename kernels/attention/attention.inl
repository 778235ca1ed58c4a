// What kernels/each_isa.inl compiles for each instruction set.
// clang-format off
#include "kernels/attention/blocks.inl"
#include "kernels/attention/forward.inl"
#include "kernels/attention/backward.inl"
// clang-format on
