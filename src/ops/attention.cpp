// Attention as a differentiable op over kernels/attention.
#include "prefer/ops/attention.hpp"

#include "prefer/ops/differentiable.hpp"
#include "src/ops/dispatch.hpp"

namespace prefer {
namespace {

namespace kernel = kernels::attention;

void check(const Tensor& q, const Tensor& k, const Tensor& v) {
  const bool fits = q.dim() == 3 && k.dim() == 3 && v.sizes() == k.sizes() && q.size(2) == k.size(2) &&
                    k.size(1) > 0 && q.size(1) % k.size(1) == 0 && q.scalar_type() == k.scalar_type() &&
                    q.scalar_type() == v.scalar_type();
  if (!fits) {
    fail("attention wants [T, H, d], [R, K, d] and [R, K, d] of one type with H a multiple of K, not ",
         q.sizes(), ", ", k.sizes(), " and ", v.sizes());
  }
}

// Heads side by side; rows may lie apart.
Tensor by_rows(const Tensor& t) {
  const bool fits = t.stride(2) == 1 && (t.size(1) == 1 || t.stride(1) == t.size(2));
  return fits ? t.detach() : t.detach().contiguous();
}

kernel::Shape shape_of(const Tensor& q, const Tensor& k, const AttentionRuns& runs,
                       const AttentionOptions& options) {
  kernel::Shape shape;
  shape.runs = runs.runs.data();
  shape.run_count = static_cast<int64_t>(runs.runs.size());
  shape.spans = runs.spans.data();
  shape.span_count = static_cast<int64_t>(runs.spans.size());
  shape.query_rows = q.size(0);
  shape.key_rows = k.size(0);
  shape.heads = q.size(1);
  shape.kv_heads = k.size(1);
  shape.dim = q.size(2);
  shape.scale = options.scale;
  shape.window = options.window;
  shape.stream = ops::stream_of(q.device());
  return shape;
}

template <class Target>
kernel::Rows<const typename Target::Element> read(const Tensor& t) {
  return {Target::read(t), t.stride(0)};
}

template <class Target>
kernel::Rows<typename Target::Element> write(const Tensor& t) {
  return {Target::write(t), t.stride(0)};
}

struct Saved {
  Tensor q, k, v, out, lse;
  AttentionRuns runs;
  AttentionOptions options;
};

std::vector<Tensor> backward(const Saved& saved, const Tensor& dout) {
  const Tensor dq = at::empty(saved.q.sizes(), dout.options());
  const Tensor dk = at::empty(saved.k.sizes(), dout.options());
  const Tensor dv = at::empty(saved.v.sizes(), dout.options());
  ops::with_target("attention", {saved.q, saved.k, saved.v, dout}, [&](auto target) {
    using Target = decltype(target);
    kernel::Backward<typename Target::Element> args{
        shape_of(saved.q, saved.k, saved.runs, saved.options), {}, {}, {}, {}, {}, {}, {}, {}, {}};
    args.q = read<Target>(saved.q);
    args.k = read<Target>(saved.k);
    args.v = read<Target>(saved.v);
    args.out = read<Target>(saved.out);
    args.lse = Target::read_wide(saved.lse);
    args.dout = read<Target>(dout);
    args.dq = write<Target>(dq);
    args.dk = write<Target>(dk);
    args.dv = write<Target>(dv);
    PREFER_RUN_TWIN(target, attention, backward, args);
  });
  return {dq, dk, dv};
}

}  // namespace

void AttentionRuns::add(int64_t begin, int64_t count, int64_t position, std::span<const kernel::Span> keys) {
  const auto first = static_cast<int64_t>(spans.size());
  spans.insert(spans.end(), keys.begin(), keys.end());
  runs.push_back({begin, count, position, first, static_cast<int64_t>(spans.size())});
}

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionRuns& runs,
                 const AttentionOptions& options) {
  check(q, k, v);
  Saved saved{by_rows(q), by_rows(k), by_rows(v), {}, {}, {}, options};
  const Tensor out = at::zeros(q.sizes(), q.options());
  saved.lse = at::zeros({q.size(0), q.size(1)}, q.options().dtype(ops::wide_type(q.scalar_type())));
  ops::with_target("attention", {q, k, v}, [&](auto target) {
    using Target = decltype(target);
    kernel::Forward<typename Target::Element> args{
        shape_of(saved.q, saved.k, runs, options), {}, {}, {}, {}, {}};
    args.q = read<Target>(saved.q);
    args.k = read<Target>(saved.k);
    args.v = read<Target>(saved.v);
    args.out = write<Target>(out);
    args.lse = Target::write_wide(saved.lse);
    PREFER_RUN_TWIN(target, attention, forward, args);
  });
  if (!wants_gradient({q, k, v})) return out;
  saved.out = out.detach();
  saved.runs = runs;
  differentiable("attention", {out}, {q, k, v}, [saved](const auto& gradients, const auto&) {
    return backward(saved, by_rows(gradients[0]));
  });
  return out;
}

}  // namespace prefer
