// The forward of one tile: up to kTileRows rows (queries times the heads that share a key head) against all
// their keys.

constexpr std::int64_t kTileRows = 96;

/// A tile's place in the scratch. A row is (query, head of the group), queries outermost.
struct ForwardTile {
  std::int64_t rows = 0;
  std::int64_t group = 1;           // H / K
  std::int64_t first_position = 0;  // of the tile's first query
  std::int64_t dim = 0;
  std::int64_t padded = 0;   // dim, rounded up to the widest vector
  float* q = nullptr;        // [rows][padded], times the scale
  float* sum = nullptr;      // [rows][padded] sums of p v
  float* total = nullptr;    // [rows][kLanes] sums of p, lane by lane
  float* largest = nullptr;  // [rows] running maximum of the scores
  float* score = nullptr;    // [kRows][kBlock]
  float* key = nullptr;      // [dim][kBlock]
  float* value = nullptr;    // [kBlock][padded]
  std::int64_t position(std::int64_t row) const { return first_position + row / group; }
};

/// One step of the online softmax: scores become p = exp(score - maximum), the row's sums are brought to the
/// new maximum.
inline void softmax_step(const ForwardTile& tile, std::int64_t row, Visible range, float* score) {
  Vec s[kVecsPerBlock];
  Vec block_largest = fill(-__builtin_inff());
  for (std::int64_t j = 0; j < kVecsPerBlock; ++j) {
    s[j] = visible_lanes(range, j * kLanes) ? load(score + j * kLanes) : fill(-__builtin_inff());
    block_largest = larger(block_largest, s[j]);
  }
  const float before = tile.largest[row];
  const float here = max_of_lanes(block_largest);
  const float now = here > before ? here : before;
  const float base = now == -__builtin_inff() ? 0.0f : now;
  Vec block_total = Vec{};
  for (std::int64_t j = 0; j < kVecsPerBlock; ++j) {
    s[j] = exp(s[j] - base);
    block_total = block_total + s[j];
    store(score + j * kLanes, s[j]);
  }
  float* total = tile.total + row * kLanes;
  const Vec fade = exp(fill(before - base));
  store(total, multiply_add(load(total), fade, block_total));
  tile.largest[row] = now;
  if (now == before) return;  // fade is exactly 1
  float* sum = tile.sum + row * tile.padded;
  for (std::int64_t i = 0; i < tile.padded; i += kLanes) store(sum + i, load(sum + i) * fade);
}

/// sum += p v over each row's own keys in ascending order: the keys that all rows see together, the rest row
/// by row.
inline void add_values(const ForwardTile& tile, std::int64_t first, std::int64_t rows, const Visible* range) {
  std::int64_t low = 0, high = kBlock;
  for (std::int64_t r = 0; r < rows; ++r) {
    low = greater(low, range[r].low);
    high = lesser(high, range[r].high);
  }
  if (low >= high) low = high = kBlock;
  const std::int64_t vecs = tile.padded / kLanes;
  float* sum = tile.sum + first * tile.padded;
  const auto row_alone = [&](std::int64_t r, std::int64_t begin, std::int64_t end) {
    if (begin >= end) return;
    product_rows<1>(vecs, {tile.score + r * kBlock, 0, 1}, tile.value, tile.padded, sum + r * tile.padded,
                    tile.padded, begin, end);
  };
  for (std::int64_t r = 0; r < rows; ++r) row_alone(r, range[r].low, lesser(low, range[r].high));
  if (low < high)
    product(rows, vecs, {tile.score, kBlock, 1}, tile.value, tile.padded, sum, tile.padded, low, high);
  for (std::int64_t r = 0; r < rows; ++r) row_alone(r, greater(high, range[r].low), range[r].high);
}

/// Takes one packed block into every row that sees some of it.
inline void forward_block(const ForwardTile& tile, std::int64_t window, std::int64_t block_start) {
  for (std::int64_t first = 0; first < tile.rows;) {
    Visible range[kRows];
    std::int64_t rows = 0, high = 0;
    while (rows < kRows && first + rows < tile.rows) {
      range[rows] = visible(tile.position(first + rows), window, block_start);
      if (!range[rows].any()) break;
      high = greater(high, range[rows++].high);
    }
    if (rows == 0) {
      ++first;
      continue;
    }
    clear(tile.score, kRows * kBlock);
    product(rows, (high + kLanes - 1) / kLanes, {tile.q + first * tile.padded, tile.padded, 1}, tile.key,
            kBlock, tile.score, kBlock, 0, tile.dim);
    for (std::int64_t r = 0; r < rows; ++r) softmax_step(tile, first + r, range[r], tile.score + r * kBlock);
    add_values(tile, first, rows, range);
    first += rows;
  }
}

inline ForwardTile forward_tile(const Shape& shape, float* scratch) {
  ForwardTile tile;
  tile.group = shape.heads / shape.kv_heads;
  tile.dim = shape.dim;
  tile.padded = padded_to_vectors(shape.dim);
  const std::int64_t rows = greater(kTileRows, tile.group);
  const auto take = [&](std::int64_t count) {
    float* here = scratch;
    scratch += padded_to_vectors(count);
    return here;
  };
  tile.q = take(rows * tile.padded);
  tile.sum = take(rows * tile.padded);
  tile.total = take(rows * kLanes);
  tile.largest = take(rows);
  tile.score = take(kRows * kBlock);
  tile.key = take(tile.padded * kBlock);
  tile.value = take(kBlock * tile.padded);
  return tile;
}

/// The rows of the h-th key head of a tile that holds several.
inline ForwardTile head_of(ForwardTile tile, std::int64_t h) {
  const std::int64_t row = h * tile.rows;
  tile.q += row * tile.padded;
  tile.sum += row * tile.padded;
  tile.total += row * kLanes;
  tile.largest += row;
  return tile;
}

/// Where row `row` of a tile stands in q, out and lse.
struct Place {
  std::int64_t query;
  std::int64_t head;
};

/// Queries [piece.begin, piece.end) of a run, for some key heads: the rows of them all fit into one
/// tile.
template <class T>
void forward(const Forward<T>& args, const Piece& piece, Heads heads, float* scratch) {
  const Run& run = args.runs[piece.run];
  ForwardTile tile = forward_tile(args, scratch);
  tile.rows = (piece.end - piece.begin) * tile.group;
  tile.first_position = run.first_position + piece.begin;
  const std::int64_t rows = (heads.end - heads.begin) * tile.rows;
  const auto place = [&](std::int64_t row) {
    const std::int64_t head = (heads.begin + row / tile.rows) * tile.group + row % tile.group;
    return Place{run.query_begin + piece.begin + row % tile.rows / tile.group, head};
  };
  const float scale = static_cast<float>(scale_of(args));
  for (std::int64_t r = 0; r < rows; ++r) {
    const T* q = args.q.row(place(r).query) + place(r).head * args.dim;
    widen_row(q, args.dim, tile.padded, scale, tile.q + r * tile.padded);
    tile.largest[r] = -__builtin_inff();
  }
  clear(tile.sum, rows * tile.padded);
  clear(tile.total, rows * kLanes);

  BlockRows block(args.spans + run.span_begin);
  for (std::int64_t start = piece.key_begin; start < piece.key_end; start += kBlock) {
    block.find(start, lesser(start + kBlock, piece.key_end));
    for (std::int64_t kv = heads.begin; kv < heads.end; ++kv) {
      pack_columns(args.k, kv * args.dim, block, args.dim, tile.key);
      pack_rows(args.v, kv * args.dim, block, args.dim, tile.padded, tile.value);
      forward_block(head_of(tile, kv - heads.begin), args.window, start);
    }
  }
  for (std::int64_t r = 0; r < rows; ++r) {
    const float total = sum_of_lanes(load(tile.total + r * kLanes));
    T* out = args.out.row(place(r).query) + place(r).head * args.dim;
    narrow_row(tile.sum + r * tile.padded, args.dim, 1.0f / total, out);
    args.lse[place(r).query * args.heads + place(r).head] = tile.largest[r] + __builtin_logf(total);
  }
}
