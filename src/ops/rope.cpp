// Rotary position embedding as differentiable ops over kernels/rope.
#include "prefer/ops/rope.hpp"

#include "prefer/ops/differentiable.hpp"
#include "src/ops/dispatch.hpp"

namespace prefer {
namespace {

// y = rotate(x) for [M, heads, dim] views whose rows may lie apart.
void rotate(const Tensor& x, const Tensor& y, const Tensor& position, const RopeTable& table, int sign) {
  ops::with_target("rope", {x, position, table.cos, table.sin}, [&](auto target) {
    using Target = decltype(target);
    kernels::rope::Forward<typename Target::Element> args;
    args.x = Target::read(x);
    args.rows = x.size(0);
    args.heads = x.size(1);
    args.dim = x.size(2);
    args.x_stride = x.stride(0);
    args.position = Target::indices(position);
    args.cos = Target::read_wide(table.cos);
    args.sin = Target::read_wide(table.sin);
    args.positions = table.positions();
    args.sign = sign;
    args.y = Target::write(y);
    args.y_stride = y.stride(0);
    args.stream = ops::stream_of(target.device);
    PREFER_RUN_TWIN(target, rope, forward, args);
  });
}

void check(const Tensor& rows, int64_t dim, const Tensor& position, const RopeTable& table) {
  if (position.dim() != 1 || position.size(0) != rows.size(0) || position.scalar_type() != at::kLong) {
    fail("rope wants an int64 position for each of ", rows.size(0), " rows, not ", position.sizes());
  }
  if (table.cos.size(1) * 2 != dim || table.cos.scalar_type() != ops::wide_type(rows.scalar_type())) {
    fail("rope wants a table for heads of ", dim, " and ", rows.scalar_type(), ", not ", table.cos.sizes(),
         " ", table.cos.scalar_type());
  }
}

// Views of a fused buffer [M, (H + 2K) d]: queries, keys, values.
QueryKeyValue views(const Tensor& qkv, int64_t heads, int64_t kv_heads, int64_t dim) {
  const Tensor by_head = qkv.view({qkv.size(0), heads + 2 * kv_heads, dim});
  return {by_head.narrow(1, 0, heads), by_head.narrow(1, heads, kv_heads),
          by_head.narrow(1, heads + kv_heads, kv_heads)};
}

}  // namespace

RopeTable make_rope_table(const kernels::rope::Frequencies& frequencies, int64_t positions,
                          at::ScalarType dtype, at::Device device) {
  const std::vector<double> inverse = kernels::rope::inverse_frequencies(frequencies);
  const auto made = kernels::rope::make_tables<double>(inverse, positions);
  const std::vector<int64_t> shape{positions, static_cast<int64_t>(inverse.size())};
  const auto to_tensor = [&](const std::vector<double>& values) {
    return tensor_of(values, ops::wide_type(dtype)).view(shape).to(device);
  };
  return {to_tensor(made.cos), to_tensor(made.sin)};
}

Tensor rope(const Tensor& x, const Tensor& position, const RopeTable& table) {
  if (x.dim() != 3) fail("rope wants [M, heads, dim], not ", x.sizes());
  check(x, x.size(2), position, table);
  const bool rows_apart = x.stride(2) == 1 && x.stride(1) == x.size(2);
  const Tensor y = at::empty(x.sizes(), x.options());
  rotate(rows_apart ? x.detach() : x.detach().contiguous(), y, position, table, 1);
  differentiable("rope", {y}, {x}, [position, table](const auto& gradients, const auto&) {
    const Tensor dy = gradients[0].contiguous();
    const Tensor dx = at::empty_like(dy);
    rotate(dy, dx, position, table, -1);
    return std::vector<Tensor>{dx};
  });
  return y;
}

QueryKeyValue split_rope(const Tensor& qkv, int64_t heads, int64_t kv_heads, const Tensor& position,
                         const RopeTable& table) {
  const int64_t dim = table.cos.size(1) * 2;
  if (qkv.dim() != 2 || qkv.size(1) != (heads + 2 * kv_heads) * dim) {
    fail("split_rope wants [M, (", heads, " + 2 * ", kv_heads, ") * ", dim, "], not ", qkv.sizes());
  }
  check(qkv, dim, position, table);
  const QueryKeyValue in = views(qkv.detach().contiguous(), heads, kv_heads, dim);
  const QueryKeyValue out{at::empty(in.query.sizes(), qkv.options()),
                          at::empty(in.key.sizes(), qkv.options()),
                          in.value.clone(at::MemoryFormat::Contiguous)};
  rotate(in.query, out.query, position, table, 1);
  rotate(in.key, out.key, position, table, 1);
  const auto gradient = [=, shape = qkv.sizes().vec(), options = qkv.options()](
                            const std::vector<Tensor>& gradients, const std::vector<bool>&) {
    const Tensor dqkv = at::empty(shape, options);
    const QueryKeyValue into = views(dqkv, heads, kv_heads, dim);
    const auto put = [&](const Tensor& from, const Tensor& to, bool rotated) {
      if (!from.defined()) {
        to.zero_();
      } else if (rotated) {
        rotate(from.contiguous(), to, position, table, -1);
      } else {
        to.copy_(from);
      }
    };
    put(gradients[0], into.query, true);
    put(gradients[1], into.key, true);
    put(gradients[2], into.value, false);
    return std::vector<Tensor>{dqkv};
  };
  differentiable("split_rope", {out.query, out.key, out.value}, {qkv}, gradient);
  return out;
}

}  // namespace prefer
