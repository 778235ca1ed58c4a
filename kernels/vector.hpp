// What a kernel includes before it includes kernels/each_isa.inl: the intrinsics, outside every namespace and
// target.
#pragma once

// GCC 12 takes the intrinsics' own "undefined" operands for mistakes.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop

#include "kernels/isa.hpp"
#include "kernels/number.hpp"

#include <cstdint>
#include <cstring>
