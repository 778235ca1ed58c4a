// The backward of one piece: some queries of a run, for one key head, against all their keys. dq is whole; dk
// and dv are this piece's share, which add_shares sums over the pieces in their order.

constexpr std::int64_t kGradientRows = 64;  // rows that go through a block together

/// A row is (query, head of the group), queries outermost.
struct BackwardPiece {
  std::int64_t rows = 0;
  std::int64_t group = 1;
  std::int64_t first_position = 0;
  std::int64_t dim = 0;
  std::int64_t padded = 0;
  float* q = nullptr;             // [rows][padded], times the scale
  float* dout = nullptr;          // [rows][padded]
  float* dq = nullptr;            // [rows][padded] sums of dS k, before the scale
  float* lse = nullptr;           // [rows]
  float* dot = nullptr;           // [rows] dout . out
  float* p = nullptr;             // [kGradientRows][kBlock]
  float* ds = nullptr;            // [kGradientRows][kBlock]
  float* key = nullptr;           // [kBlock][padded]
  float* key_column = nullptr;    // [dim][kBlock]
  float* value_column = nullptr;  // [dim][kBlock]
  std::int64_t position(std::int64_t row) const { return first_position + row / group; }
};

/// p = exp(s - lse) and dS = p (dout . v - dot) of one row, 0 where the row may not look.
inline void gradient_step(const BackwardPiece& piece, std::int64_t row, Visible range, std::int64_t vecs,
                          float* p, float* ds) {
  for (std::int64_t j = 0; j < vecs; ++j) {
    const IntVec seen = visible_lanes(range, j * kLanes);
    const Vec probability = seen ? exp(load(p + j * kLanes) - piece.lse[row]) : Vec{};
    const Vec gradient = probability * (load(ds + j * kLanes) - piece.dot[row]);
    store(p + j * kLanes, probability);
    store(ds + j * kLanes, seen ? gradient : Vec{});
  }
}

/// Takes one packed block of `count` keys through all rows; dk and dv are the block's share, [count][padded].
inline void backward_block(const BackwardPiece& piece, std::int64_t window, std::int64_t block_start,
                           std::int64_t count, float* dk, float* dv) {
  const std::int64_t width = piece.padded / kLanes;
  for (std::int64_t first = 0; first < piece.rows; first += kGradientRows) {
    const std::int64_t rows = lesser(kGradientRows, piece.rows - first);
    const Visible first_sees = visible(piece.position(first), window, block_start);
    const Visible last_sees = visible(piece.position(first + rows - 1), window, block_start);
    if (last_sees.high <= 0 || first_sees.low >= kBlock) continue;
    const std::int64_t keys = lesser(count, last_sees.high);
    const std::int64_t vecs = (keys + kLanes - 1) / kLanes;
    const float* q = piece.q + first * piece.padded;
    const float* dout = piece.dout + first * piece.padded;
    clear(piece.p, rows * kBlock);
    clear(piece.ds, rows * kBlock);
    product(rows, vecs, {q, piece.padded, 1}, piece.key_column, kBlock, piece.p, kBlock, 0, piece.dim);
    product(rows, vecs, {dout, piece.padded, 1}, piece.value_column, kBlock, piece.ds, kBlock, 0, piece.dim);
    for (std::int64_t r = 0; r < rows; ++r) {
      gradient_step(piece, first + r, visible(piece.position(first + r), window, block_start), vecs,
                    piece.p + r * kBlock, piece.ds + r * kBlock);
    }
    product(rows, width, {piece.ds, kBlock, 1}, piece.key, piece.padded, piece.dq + first * piece.padded,
            piece.padded, 0, keys);
    product(keys, width, {piece.p, 1, kBlock}, dout, piece.padded, dv, piece.padded, 0, rows);
    product(keys, width, {piece.ds, 1, kBlock}, q, piece.padded, dk, piece.padded, 0, rows);
  }
}

template <class T>
void load_rows(const Backward<T>& args, const BackwardPiece& piece, std::int64_t first_query,
               std::int64_t first_head) {
  const float scale = static_cast<float>(scale_of(args));
  for (std::int64_t r = 0; r < piece.rows; ++r) {
    const std::int64_t query = first_query + r / piece.group;
    const std::int64_t head = first_head + r % piece.group;
    float* dq = piece.dq + r * piece.padded;  // holds out for a moment
    float* dout = piece.dout + r * piece.padded;
    widen_row(args.q.row(query) + head * args.dim, args.dim, piece.padded, scale, piece.q + r * piece.padded);
    widen_row(args.dout.row(query) + head * args.dim, args.dim, piece.padded, 1.0f, dout);
    widen_row(args.out.row(query) + head * args.dim, args.dim, piece.padded, 1.0f, dq);
    Vec dot = Vec{};
    for (std::int64_t i = 0; i < piece.padded; i += kLanes)
      dot = multiply_add(load(dout + i), load(dq + i), dot);
    piece.dot[r] = sum_of_lanes(dot);
    piece.lse[r] = args.lse[query * args.heads + head];
  }
  clear(piece.dq, piece.rows * piece.padded);
}

inline BackwardPiece backward_piece(const Shape& shape, std::int64_t queries, float* scratch) {
  BackwardPiece piece;
  piece.group = shape.heads / shape.kv_heads;
  piece.rows = queries * piece.group;
  piece.dim = shape.dim;
  piece.padded = padded_to_vectors(shape.dim);
  const auto take = [&](std::int64_t count) {
    float* here = scratch;
    scratch += padded_to_vectors(count);
    return here;
  };
  piece.q = take(piece.rows * piece.padded);
  piece.dout = take(piece.rows * piece.padded);
  piece.dq = take(piece.rows * piece.padded);
  piece.lse = take(piece.rows);
  piece.dot = take(piece.rows);
  piece.p = take(kGradientRows * kBlock);
  piece.ds = take(kGradientRows * kBlock);
  piece.key = take(kBlock * piece.padded);
  piece.key_column = take(piece.padded * kBlock);
  piece.value_column = take(piece.padded * kBlock);
  return piece;
}

/// share: [2][keys of the piece][padded], dk then dv, written whole.
template <class T>
void backward(const Backward<T>& args, const Piece& where, std::int64_t kv_head, float* scratch,
              float* share) {
  const Run& run = args.runs[where.run];
  BackwardPiece piece = backward_piece(args, where.end - where.begin, scratch);
  piece.first_position = run.first_position + where.begin;
  const std::int64_t first_query = run.query_begin + where.begin;
  const std::int64_t first_head = kv_head * piece.group;
  load_rows(args, piece, first_query, first_head);
  float* dk = share;
  float* dv = share + where.keys() * piece.padded;
  clear(share, 2 * where.keys() * piece.padded);

  BlockRows block(args.spans + run.span_begin);
  for (std::int64_t start = where.key_begin; start < where.key_end; start += kBlock) {
    block.find(start, lesser(start + kBlock, where.key_end));
    pack_rows(args.k, kv_head * args.dim, block, args.dim, piece.padded, piece.key);
    pack_columns(args.k, kv_head * args.dim, block, args.dim, piece.key_column);
    pack_columns(args.v, kv_head * args.dim, block, args.dim, piece.value_column);
    const std::int64_t offset = (start - where.key_begin) * piece.padded;
    backward_block(piece, args.window, start, block.count, dk + offset, dv + offset);
  }
  const float scale = static_cast<float>(scale_of(args));
  for (std::int64_t r = 0; r < piece.rows; ++r) {
    T* dq = args.dq.row(first_query + r / piece.group) + (first_head + r % piece.group) * args.dim;
    narrow_row(piece.dq + r * piece.padded, args.dim, scale, dq);
  }
}

/// dk and dv of rows [first, first + rows) for one key head: the sum of the shares that fall there, in their
/// order.
template <class T>
void add_shares(const Backward<T>& args, std::int64_t first, std::int64_t rows, std::int64_t kv_head,
                const SharePart* parts, std::int64_t part_count, const float* shares, float* scratch) {
  const std::int64_t padded = padded_to_vectors(args.dim);
  float* dk = scratch;
  float* dv = scratch + rows * padded;
  clear(scratch, 2 * rows * padded);
  for (std::int64_t n = 0; n < part_count; ++n) {
    const SharePart& part = parts[n];
    const float* share = shares + part.piece->share + kv_head * 2 * part.piece->keys() * padded;
    const float* from_k = share + part.key * padded;
    const float* from_v = from_k + part.piece->keys() * padded;
    const std::int64_t to = (part.row - first) * padded;
    for (std::int64_t i = 0; i < part.count * padded; i += kLanes) {
      store(dk + to + i, load(dk + to + i) + load(from_k + i));
      store(dv + to + i, load(dv + to + i) + load(from_v + i));
    }
  }
  for (std::int64_t r = 0; r < rows; ++r) {
    narrow_row(dk + r * padded, args.dim, 1.0f, args.dk.row(first + r) + kv_head * args.dim);
    narrow_row(dv + r * padded, args.dim, 1.0f, args.dv.row(first + r) + kv_head * args.dim);
  }
}
