// The host's part of attention's CUDA algorithm: which tiles of queries and which parts of keys there are.
#pragma once

#include "kernels/attention/body.hpp"

#include <algorithm>
#include <vector>

namespace prefer::kernels::attention::tiles {

/// Every run cut into tiles of `side` rows.
inline std::vector<Tile> tiles_of(const Shape& shape) {
  const std::int64_t side = side_for(shape.dim), group = shape.heads / shape.kv_heads;
  std::vector<Tile> tiles;
  for (std::int64_t r = 0; r < shape.run_count; ++r) {
    for (std::int64_t row = 0; row < shape.runs[r].query_count * group; row += side)
      tiles.push_back({r, row});
  }
  return tiles;
}

/// For each block of `side` rows of k and v, parts[begin[b]] .. parts[begin[b + 1]): who sees its rows, in
/// order of runs.
struct KeyParts {
  std::vector<Part> parts;
  std::vector<std::int64_t> begin;
};
inline KeyParts key_parts(const Shape& shape) {
  const std::int64_t side = side_for(shape.dim);
  std::vector<std::vector<Part>> blocks(static_cast<std::size_t>((shape.key_rows + side - 1) / side));
  for (std::int64_t r = 0; r < shape.run_count; ++r) {
    const Run& run = shape.runs[r];
    std::int64_t position = 0;
    for (std::int64_t s = run.span_begin; s < run.span_end && run.query_count > 0; ++s) {
      const Span& span = shape.spans[s];
      for (std::int64_t row = span.row; row < span.row + span.count;) {
        const std::int64_t count = std::min(span.row + span.count - row, side - row % side);
        blocks[static_cast<std::size_t>(row / side)].push_back({r, row, position, count});
        row += count;
        position += count;
      }
    }
  }
  KeyParts result{{}, {0}};
  for (const std::vector<Part>& block : blocks) {
    result.parts.insert(result.parts.end(), block.begin(), block.end());
    result.begin.push_back(static_cast<std::int64_t>(result.parts.size()));
  }
  return result;
}

}  // namespace prefer::kernels::attention::tiles
