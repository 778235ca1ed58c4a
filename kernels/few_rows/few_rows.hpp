// y = x w^T for a few rows of bfloat16 with the tiles of a CPU that has AMX: read at the speed of memory, and
// summed as products of more rows are.
//
// The width is cut into tiles of 32 elements, the tiles into stretches; every sum begins at zero:
//   tile    = (sum of x_k w_k over its even k) + (sum over its odd k), k ascending
//   stretch = sum of its tiles,   y = sum of the stretches,
// in float32, rounded after every addition; a product of two bfloat16 is exact. Denormal numbers count as
// zero. Source of a tile's order: Intel, Architecture Instruction Set Extensions Programming Reference,
// TDPBF16PS.
#pragma once

#include "kernels/number.hpp"

#include <cstdint>

namespace prefer::kernels::few_rows {

constexpr std::int64_t kMostRows = 32;  // two tiles'
constexpr std::int64_t kTile = 32;      // elements

/// The weight [out, in] lies in panels of `height` rows: of a panel, pairs of neighbouring elements, the rows
/// side by side; padded with zeros. Nothing may overlap.
struct Product {
  const bf16* x = nullptr;       // [rows, in]
  const bf16* weight = nullptr;  // [ceil(out / height), padded_in / 2, height, 2]
  std::int64_t rows = 0;         // at most kMostRows
  std::int64_t in = 0;
  std::int64_t padded_in = 0;  // a multiple of kTile, not below `in`
  std::int64_t out = 0;
  std::int64_t height = 0;   // a multiple of 16
  std::int64_t stretch = 1;  // in tiles
  bf16* y = nullptr;         // [rows, out]
};

// Both throw std::invalid_argument for sizes or pointers that do not fit. There is no CUDA twin: panels and
// order are those of the CPU's library. A row's bits do not depend on its neighbours.

namespace reference {  // in the order above; denormal numbers are kept
void forward(const Product& args);
}  // namespace reference

namespace amx {
bool supported();  ///< by this CPU and its kernel
/// @throws std::invalid_argument also where it is not supported
void forward(const Product& args);
}  // namespace amx

}  // namespace prefer::kernels::few_rows
