// Which counts of rows sum alike, how rows are cut into those, and the matrices that tell.
#include "src/ops/row_blocks.hpp"

#include "kernels/few_rows/few_rows.hpp"
#include "prefer/core/random.hpp"
#include "src/ops/packed.hpp"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <tuple>

namespace prefer::gemm {
namespace {

constexpr int64_t kAlike = 32;                              // rows of the call that others are held to
constexpr int64_t kCounts[] = {18, 32, 64, 128, 256, 512};  // 18: the fewest that are often summed as 32 are
constexpr int64_t kMostOutputs = int64_t{16} << 20;         // of one call: 32 MiB, copied to where it belongs
constexpr int64_t kMostProbed = int64_t{256} << 20;  // of a weight: beyond, trying would take too much memory
constexpr int64_t kCallCost = 24;                    // of one more call, in rows

uint64_t mixed(int64_t row, int64_t column) {
  const uint64_t i = (static_cast<uint64_t>(row) << 32 | static_cast<uint64_t>(column)) * 0x9E3779B97F4A7C15u;
  return (i ^ i >> 29) * 0xBF58476D1CE4E5B9u >> 24;
}

/// [rows, columns] of numbers from 2^-15 to 2, so that sums of products are rounded at every step; each value
/// twice, the second one negated in one of the two factors. Rows repeat.
Tensor pairs(int64_t rows, int64_t columns, int64_t different, bool negated, at::ScalarType type) {
  std::vector<int64_t> place;  // in an order without a pattern
  for (int64_t i = 0; i < columns; ++i)
    place.push_back(
        static_cast<int64_t>(record_at(0, static_cast<uint64_t>(i), static_cast<uint64_t>(columns))));
  Tensor result = at::zeros({rows, columns}, at::kBFloat16);
  auto* values = static_cast<uint16_t*>(result.mutable_data_ptr());
  different = std::min(rows, different);
  for (int64_t row = 0; row < different; ++row)
    for (int64_t i = 0; i + 1 < columns; i += 2) {
      const auto value = static_cast<uint16_t>((mixed(2 * row + negated, i) & 0x87FFu) | 0x3800u);
      values[row * columns + place[static_cast<size_t>(i)]] = value;
      values[row * columns + place[static_cast<size_t>(i + 1)]] = value ^ (negated ? 0x8000u : 0u);
    }
  for (int64_t row = different; row < rows; ++row)
    std::memcpy(values + row * columns, values + row % different * columns,
                static_cast<size_t>(columns) * sizeof(uint16_t));
  return result.to(type);
}

/// What sums in another order would give otherwise: a product of kAlike rows, and what it is made of.
struct Probe {
  Probe(int64_t out, int64_t in, at::ScalarType type)
      : weight(pack_by_library(cancelling_weight(out, in, type))),
        wanted(packed_product(cancelling_rows(kAlike, in, type), weight)) {}

  Packed weight;
  Tensor wanted;  // [kAlike, out]
};

/// Whether a call with this many rows sums as one with kAlike rows does.
bool sums_alike(int64_t count, int64_t out, int64_t in, at::ScalarType type) {
  const Probe probe(out, in, type);
  const Tensor y = packed_product(cancelling_rows(count, in, type), probe.weight);
  for (int64_t row = 0; row < count; row += kAlike) {
    const int64_t rows = std::min(kAlike, count - row);
    if (!at::equal(y.narrow(0, row, rows), probe.wanted.narrow(0, 0, rows))) return false;
  }
  return true;
}

/// What `find` says of a type and shape, asked once; the library may choose by the number of threads.
template <class Answer>
class Known {
 public:
  template <class Find>
  Answer operator()(int64_t count, int64_t out, int64_t in, at::ScalarType type, Find find) {
    const std::lock_guard lock(mutex_);
    const auto [call, first] = known_.try_emplace({count, out, in, type, at::get_num_threads()});
    if (first) call->second = find();
    return call->second;
  }

 private:
  std::mutex mutex_;
  std::map<std::tuple<int64_t, int64_t, int64_t, at::ScalarType, int>, Answer> known_;
};

bool known_to_sum_alike(int64_t count, int64_t out, int64_t in, at::ScalarType type) {
  if (count == kAlike) return true;
  if (out * in > kMostProbed || (count > kAlike && count * out > kMostOutputs)) return false;
  static Known<bool> known;
  return known(count, out, in, type, [&] { return sums_alike(count, out, in, type); });
}

/// few_rows' order and panels for a weight [out, in]: those of the library's calls of kAlike rows.
struct FewRows {
  PanelForm form;
  int64_t stretch;  ///< in tiles

  /// y [rows, out] = x [rows, in] w^T, or the first columns of that. All contiguous.
  void multiply(const Tensor& x, const Packed& packed, Tensor* y) const {
    using kernels::bf16;
    kernels::few_rows::Product product;
    product.x = static_cast<const bf16*>(x.const_data_ptr());
    product.weight = reinterpret_cast<const bf16*>(bytes_of(packed).data());
    product.rows = x.size(0), product.in = x.size(1), product.out = y->size(1);
    product.height = form.height, product.padded_in = form.width, product.stretch = stretch;
    product.y = static_cast<bf16*>(y->mutable_data_ptr());
    kernels::few_rows::amx::forward(product);
  }
};

/// Its order is found by trying.
std::optional<FewRows> find_few_rows(int64_t out, int64_t in) {
  const std::optional<PanelForm> form = panel_form(at::kBFloat16, out, in);
  if (!form || form->height % 16 != 0 || form->width % kernels::few_rows::kTile != 0) return std::nullopt;
  const Probe probe(out, in, at::kBFloat16);
  const Tensor x = cancelling_rows(kAlike, in, at::kBFloat16);
  const auto gives_what_is_wanted = [&](const FewRows& few, int64_t rows, int64_t columns) {
    Tensor y = at::empty({rows, columns}, at::kBFloat16);
    few.multiply(x.narrow(0, 0, rows), probe.weight, &y);
    return at::equal(y, probe.wanted.narrow(0, 0, rows).narrow(1, 0, columns));
  };
  for (int64_t stretch = 1; stretch <= form->width / kernels::few_rows::kTile; ++stretch) {
    const FewRows few{*form, stretch};
    if (gives_what_is_wanted(few, 1, std::min(out, form->height)) && gives_what_is_wanted(few, kAlike, out))
      return few;
  }
  return std::nullopt;
}

std::optional<FewRows> few_rows_of(int64_t out, int64_t in) {
  if (!kernels::few_rows::amx::supported() || out * in > kMostProbed) return std::nullopt;
  static Known<std::optional<FewRows>> known;
  return known(0, out, in, at::kBFloat16, [&] { return find_few_rows(out, in); });
}

}  // namespace

Tensor cancelling_rows(int64_t rows, int64_t in, at::ScalarType type) {
  return pairs(rows, in, kAlike, true, type);
}
Tensor cancelling_weight(int64_t out, int64_t in, at::ScalarType type) {
  return pairs(out, in, 512, false, type);
}

Tensor padded(const Tensor& x, int64_t rows) {
  if (x.size(0) >= rows) return x.contiguous();
  Tensor wider = at::zeros({rows, x.size(1)}, x.options());
  wider.narrow(0, 0, x.size(0)).copy_(x);
  return wider;
}

std::vector<RowBlock> row_blocks(int64_t rows, const std::function<bool(int64_t count)>& allowed,
                                 int64_t few) {
  std::vector<RowBlock> blocks;
  for (int64_t done = 0; done < rows;) {
    const int64_t left = rows - done;
    if (left <= few) {
      blocks.push_back({done, left});
      break;
    }
    const auto is_last = [&](int64_t count) {
      return count >= left && (count <= kAlike || count <= left + kCallCost) && allowed(count);
    };
    if (const auto last = std::ranges::find_if(kCounts, is_last); last != std::end(kCounts)) {
      blocks.push_back({std::max<int64_t>(0, rows - *last), *last});
      break;
    }
    int64_t count = kAlike;
    for (const int64_t more : kCounts)
      if (more > count && more < left && allowed(more)) count = more;
    blocks.push_back({done, count});
    done += count;
  }
  return blocks;
}

Tensor row_product(const Tensor& x, const Packed& packed) {
  const int64_t rows = x.size(0), out = packed.form.size(0), in = x.size(1);
  const at::ScalarType type = x.scalar_type();
  static const bool amx = __builtin_cpu_supports("amx-bf16") != 0;
  if (type != at::kBFloat16 || !amx) return packed_product(padded(x, 2), packed).narrow(0, 0, rows);
  std::optional<FewRows> few;
  if (packed.threads == at::get_num_threads()) few = few_rows_of(out, in);
  const int64_t most_few = few ? kAlike - 1 : 0;  // from there on the library is as fast
  const std::vector<RowBlock> blocks = row_blocks(
      rows, [&](int64_t count) { return known_to_sum_alike(count, out, in, type); }, most_few);
  if (blocks.size() == 1 && blocks[0].count > most_few)
    return packed_product(padded(x, blocks[0].count), packed).narrow(0, 0, rows);
  Tensor y = at::empty({rows, out}, x.options());
  for (const RowBlock& block : blocks) {
    const Tensor part = x.narrow(0, block.first, block.count);
    Tensor to = y.narrow(0, block.first, block.count);
    if (block.count <= most_few) {
      few->multiply(part, packed, &to);
    } else {
      to.copy_(packed_product(part, packed));
    }
  }
  return y;
}

}  // namespace prefer::gemm
