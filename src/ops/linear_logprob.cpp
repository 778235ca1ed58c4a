// linear_logprob: products with the head in pieces, and kernels/token_logprob and kernels/kl over the logits
// of each.
#include "prefer/ops/linear_logprob.hpp"

#include "kernels/token_logprob/token_logprob.hpp"
#include "prefer/ops/differentiable.hpp"
#include "src/ops/dispatch.hpp"
#include "src/ops/kl_rows.hpp"
#include "src/ops/row_counts.hpp"

namespace prefer {
namespace {

// Logits that are not kept come in pieces that stay in a CPU's last cache from one pass to the next.
constexpr int64_t kCachedBytes = int64_t{32} << 20;

struct Rows {
  Tensor label;     // [m]
  Tensor logp;      // [m]
  Tensor lse;       // [m]
  Tensor entropy;   // [m], or undefined
  Tensor argmax;    // [m] int64, or undefined
  Tensor dlogp;     // [m], of the gradient alone
  Tensor dentropy;  // [m], or undefined

  /// What the forward reads and writes of `count` rows.
  Rows part(int64_t begin, int64_t count) const {
    const auto cut = [&](const Tensor& t) { return t.defined() ? t.narrow(0, begin, count) : Tensor(); };
    return {cut(label), cut(logp), cut(lse), cut(entropy), cut(argmax), {}, {}};
  }
};

void read_rows(const Tensor& logits, const Rows& rows, double temperature) {
  ops::with_target("linear_logprob", {logits, rows.label}, [&](auto target) {
    using Target = decltype(target);
    kernels::token_logprob::Forward<typename Target::Element> args;
    args.logits = Target::read(logits);
    args.label = Target::indices(rows.label);
    args.rows = logits.size(0);
    args.vocab = logits.size(1);
    args.stride = logits.stride(0);
    args.inv_temperature = static_cast<typename Target::Wide>(1 / temperature);
    args.logp = Target::write_wide(rows.logp);
    args.lse = Target::write_wide(rows.lse);
    args.entropy = Target::write_wide(rows.entropy);
    if (rows.argmax.defined()) args.argmax = static_cast<int64_t*>(rows.argmax.mutable_data_ptr());
    args.stream = ops::stream_of(target.device);
    PREFER_RUN_TWIN(target, token_logprob, forward, args);
  });
}

// The gradient of sum(dlogp logp + dentropy entropy) into `grad`, which may be `logits`: the logits of the
// part of the vocabulary from `first` on.
void write_gradient(const Tensor& logits, int64_t first, const Rows& rows, double temperature,
                    const Tensor& grad) {
  const Tensor label = first == 0 ? rows.label : rows.label - first;
  ops::with_target("linear_logprob", {logits, label, rows.dlogp, rows.dentropy, grad}, [&](auto target) {
    using Target = decltype(target);
    kernels::token_logprob::Backward<typename Target::Element> args;
    args.logits = Target::read(logits);
    args.label = Target::indices(label);
    args.rows = logits.size(0);
    args.vocab = logits.size(1);
    args.stride = logits.stride(0);
    args.inv_temperature = static_cast<typename Target::Wide>(1 / temperature);
    args.lse = Target::read_wide(rows.lse);
    args.entropy = Target::read_wide(rows.entropy);
    args.grad_logp = Target::read_wide(rows.dlogp);
    args.grad_entropy = Target::read_wide(rows.dentropy);
    args.grad = Target::write(grad);
    args.grad_stride = grad.stride(0);
    args.stream = ops::stream_of(target.device);
    PREFER_RUN_TWIN(target, token_logprob, backward, args);
  });
}

// What one call keeps for its gradient. M counts the rows that fill up a shape of products too.
struct Kept {
  Tensor hidden;  // [M, D]
  Matrix head;
  Rows rows;
  double temperature = 1;
  int64_t logits_bytes = 0;  // the budget
  int64_t piece_bytes = 0;   // of logits that are not kept
  Tensor logits;             // [M, V]: they fit the budget
  Tensor slope;              // [M, D] dlogp/dhidden: a frozen head whose logits do not fit, no entropy
  SecondModel second;        // its hidden [M, its D], or empty
  ops::KlRows kl;            // [M] to the second model

  int64_t row_bytes() const {  // of the logits of all models there are
    const int64_t columns = head.rows() + (second.head.defined() ? second.head.rows() : 0);
    return columns * static_cast<int64_t>(hidden.element_size());
  }
  /// Both models' logits of `count` rows, ours given.
  ops::TwoLogits beside(const Tensor& ours, int64_t begin, int64_t count) const {
    const Tensor theirs = times_transposed(second.hidden.narrow(0, begin, count), second.head);  // [m, V2]
    return {ours, theirs, second.estimates ? rows.label.narrow(0, begin, count) : Tensor(), temperature};
  }
};

void check(const Tensor& hidden, const Matrix& head, const Tensor& label, const LogprobOptions& options) {
  const bool fits = head.defined() && head.rows() > 0 && hidden.dim() == 2 && label.dim() == 1 &&
                    label.size(0) == hidden.size(0) && hidden.size(1) == head.columns() &&
                    label.scalar_type() == at::kLong;
  if (!fits) {
    fail("linear_logprob wants [M, D], [V, D] and int64 [M], not ", hidden.sizes(), ", [", head.rows(), ", ",
         head.columns(), "] and ", label.sizes(), " ", label.scalar_type());
  }
  if (!(options.temperature > 0)) fail("linear_logprob wants a temperature > 0, not ", options.temperature);
}

// Of a head through which a gradient is to go.
void check_trains(const Matrix& head) {
  if (head.parts().empty())
    fail("linear_logprob wants a head with its weight for a gradient, not a frozen Matrix");
  if (head.parts().size() > 1)
    fail("linear_logprob trains a head of one weight, and ", head.parts().size(), " are stacked");
}

void check(const SecondModel& second, const Tensor& hidden) {
  const Tensor& theirs = second.hidden;
  if (!theirs.defined() || theirs.dim() != 2 || theirs.size(0) != hidden.size(0) || !second.head.defined() ||
      theirs.size(1) != second.head.columns() || theirs.scalar_type() != hidden.scalar_type()) {
    fail("linear_logprob wants a second model's ", hidden.scalar_type(), " [", hidden.size(0),
         ", D] and [V, D], not ",
         theirs.defined() ? c10::str(theirs.scalar_type(), " ", theirs.sizes()) : "an undefined tensor",
         " and [", second.head.rows(), ", ", second.head.columns(), "]");
  }
}

// How many of `count` rows or columns of `bytes` each make a piece, the last of which may be smaller: in
// whole blocks of products where there is room for those, none above the budget but for its least size.
int64_t piece_of(int64_t count, int64_t bytes, int64_t budget) {
  constexpr int64_t kBlock = 64, kLeastBlock = 16;
  const int64_t most = std::max<int64_t>(budget / bytes, 2);
  const int64_t pieces = std::max<int64_t>((count + most - 1) / most, 1);
  const int64_t even = (count + pieces - 1) / pieces, blocks = (even + kBlock - 1) / kBlock * kBlock;
  if (blocks <= most) return blocks;
  return most < kLeastBlock || pieces == 1 ? even : most / kLeastBlock * kLeastBlock;
}

// Rows are cut: a row of logits is read whole, so that its bits do not depend on the cut.
void forward(Kept& kept, bool keep_logits) {
  const int64_t count = kept.hidden.size(0);
  const int64_t piece = keep_logits ? count : piece_of(count, kept.row_bytes(), kept.piece_bytes);
  if (kept.slope.defined())
    prepare_times(kept.head);  // before there are logits: packing takes memory of its own
  for (int64_t begin = 0; begin < count; begin += piece) {
    const int64_t size = std::min(piece, count - begin);
    Rows rows = kept.rows.part(begin, size);
    const Tensor logits = times_transposed(kept.hidden.narrow(0, begin, size), kept.head);  // [m, V]
    read_rows(logits, rows, kept.temperature);
    if (kept.kl.any()) ops::read_kl(kept.beside(logits, begin, size), kept.kl.part(begin, size));
    if (keep_logits) kept.logits = logits;
    if (!kept.slope.defined()) continue;
    rows.dlogp = at::ones_like(rows.logp);
    write_gradient(logits, 0, rows, kept.temperature, logits);
    kept.slope.narrow(0, begin, size).copy_(times(logits, kept.head));
  }
}

// A gradient that is added up piece by piece, in float where it is bf16.
struct Sum {
  Tensor value;
  void add(const Tensor& part) {
    if (!part.defined()) return;
    if (!value.defined()) {
      value = part;
    } else {
      if (value.scalar_type() == at::kBFloat16) value = value.to(at::kFloat);
      value.add_(part);
    }
  }
};

// Zeros after the values of the rows that were asked for.
Tensor filled(const Tensor& values, int64_t rows) {
  if (!values.defined() || values.size(0) == rows) return values;
  const at::NoGradGuard no_grad;
  std::vector<int64_t> sizes = values.sizes().vec();
  sizes[0] = rows - sizes[0];
  return at::cat({values, at::zeros(sizes, values.options())});
}

using Gradient = std::pair<Tensor, Tensor>;  // of hidden and of the head, [M, D] and [V, D], or undefined

// The vocabulary is cut, not the rows: with lse known each part's gradient stands alone, the head's is
// written once, and what adds up is only [M, D].
Gradient backward(const Kept& kept, bool hidden_wanted, bool head_wanted) {
  const Tensor weight = kept.head.weight().detach();  // [V, D]
  const int64_t vocab = weight.size(0);
  const int64_t column_bytes = kept.hidden.size(0) * static_cast<int64_t>(kept.hidden.element_size());
  const int64_t piece = piece_of(vocab, std::max<int64_t>(column_bytes, 1), kept.piece_bytes);
  Sum dhidden;
  const Tensor dhead = head_wanted ? at::empty(weight.sizes(), weight.options()) : Tensor();
  for (int64_t begin = 0; begin < vocab; begin += piece) {
    const int64_t size = std::min(piece, vocab - begin);
    const Matrix part(weight.narrow(0, begin, size));  // [v, D]
    const Tensor logits = kept.logits.defined() ? kept.logits.narrow(1, begin, size)
                                                : times_transposed(kept.hidden, part);  // [M, v]
    const Tensor dlogits = logits.is_contiguous() ? logits : at::empty(logits.sizes(), logits.options());
    write_gradient(logits, begin, kept.rows, kept.temperature, dlogits);
    if (hidden_wanted) dhidden.add(times(dlogits, part));
    if (head_wanted) dhead.narrow(0, begin, size).copy_(transposed_times(dlogits, kept.hidden));
  }
  return {dhidden.value, dhead};
}

// Of the KL and its estimates. Rows are cut: their gradient wants the whole row of both models' logits, which
// it takes the place of while they lie in cache. Every piece adds to all of the head's gradient, so there
// they are few: half the budget, as its product makes a copy of them.
Gradient kl_backward(const Kept& kept, const ops::KlRows& upstream, bool hidden_wanted, bool head_wanted) {
  const int64_t count = kept.hidden.size(0), bytes = head_wanted ? kept.logits_bytes / 2 : kept.piece_bytes;
  const int64_t piece = piece_of(count, kept.row_bytes(), bytes);
  const Tensor dhidden = hidden_wanted ? at::empty_like(kept.hidden) : Tensor();
  Sum dhead;
  for (int64_t begin = 0; begin < count; begin += piece) {
    const int64_t size = std::min(piece, count - begin);
    const Tensor hidden = kept.hidden.narrow(0, begin, size);
    const Tensor logits = times_transposed(hidden, kept.head);  // [m, V]
    ops::write_kl_gradient(kept.beside(logits, begin, size), upstream.part(begin, size));
    if (hidden_wanted) dhidden.narrow(0, begin, size).copy_(times(logits, kept.head));
    if (head_wanted) dhead.add(transposed_times(logits, hidden));
  }
  if (kept.head.trained()) kept.head.forget_packed();
  return {dhidden, dhead.value};
}

// From the gradients of what was asked for, logp first, of `asked` rows, to those of hidden and of the head.
std::vector<Tensor> gradient(Kept& kept, int64_t asked, const std::vector<Tensor>& gradients,
                             const std::vector<bool>& wanted) {
  size_t next = 0;
  const auto upstream_of = [&](const Tensor& output) {
    const Tensor given = output.defined() ? gradients[next++] : Tensor();
    return given.defined() ? filled(given.contiguous(), kept.hidden.size(0)) : given;
  };
  kept.rows.dlogp = upstream_of(kept.rows.logp);
  kept.rows.dentropy = upstream_of(kept.rows.entropy);
  const ops::KlRows dkl{upstream_of(kept.kl.kl), upstream_of(kept.kl.k1), upstream_of(kept.kl.k2),
                        upstream_of(kept.kl.k3)};
  Sum dhidden, dhead;
  const auto add = [&](const Gradient& part) { dhidden.add(part.first), dhead.add(part.second); };
  if (kept.slope.defined()) {
    if (kept.rows.dlogp.defined())
      dhidden.add(kept.slope * kept.rows.dlogp.unsqueeze(1).to(kept.slope.scalar_type()));
  } else if (kept.rows.dlogp.defined() || kept.rows.dentropy.defined()) {
    if (!kept.rows.dlogp.defined()) kept.rows.dlogp = at::zeros_like(kept.rows.lse);
    add(backward(kept, wanted[0], wanted[1]));
  }
  kept.logits = Tensor();  // the KL's take their room
  if (dkl.any()) add(kl_backward(kept, dkl, wanted[0], wanted[1]));
  const auto type = kept.hidden.scalar_type();
  return {dhidden.value.defined() ? dhidden.value.to(type).narrow(0, 0, asked) : Tensor(),
          dhead.value.defined() ? dhead.value.to(type) : Tensor()};
}

// What a call on these inputs keeps, its values not computed yet. On CPUs its rows are rounded up.
Kept made(const Tensor& hidden, const Matrix& head, const Tensor& label, const LogprobOptions& options,
          const SecondModel& second) {
  const auto wide = hidden.options().dtype(ops::wide_type(hidden.scalar_type())).requires_grad(false);
  const int64_t rows = hidden.is_cpu() ? rounded_rows(hidden.size(0), 8) : hidden.size(0);
  const auto column = [&](bool wanted) { return wanted ? at::empty({rows}, wide) : Tensor(); };
  Kept kept{filled(hidden.detach().contiguous(), rows),
            head,
            {filled(label.contiguous(), rows), column(true), column(true), column(options.entropy)},
            options.temperature,
            options.logits_bytes};
  kept.piece_bytes = std::min(options.logits_bytes, hidden.is_cpu() ? kCachedBytes : options.logits_bytes);
  if (options.argmax) kept.rows.argmax = at::empty({rows}, label.options());
  if (second.head.defined()) {
    kept.second = {filled(second.hidden.detach().contiguous(), rows), second.head, second.estimates};
    kept.kl = {column(true), column(second.estimates), column(second.estimates), column(second.estimates)};
  }
  return kept;
}

}  // namespace

Logprobs linear_logprob(const Tensor& hidden, const Matrix& head, const Tensor& label,
                        const LogprobOptions& options, const SecondModel& second) {
  check(hidden, head, label, options);
  if (second.head.defined() || second.hidden.defined()) check(second, hidden);
  std::vector<Tensor> inputs{hidden};
  inputs.insert(inputs.end(), head.parts().begin(), head.parts().end());
  const bool trains = wants_gradient(inputs);
  if (trains) check_trains(head);
  Kept kept = made(hidden, head, label, options, second);
  const bool fits = kept.hidden.size(0) * kept.row_bytes() <= options.logits_bytes;
  if (trains && !fits && !head.trained() && !options.entropy) kept.slope = at::empty_like(kept.hidden);
  forward(kept, trains && fits);
  if (trains && head.trained()) head.forget_packed();

  const int64_t asked = hidden.size(0);
  const auto asked_of = [&](const Tensor& t) { return t.defined() ? t.narrow(0, 0, asked).detach() : t; };
  const Logprobs result{asked_of(kept.rows.logp), asked_of(kept.rows.entropy), asked_of(kept.rows.argmax),
                        asked_of(kept.kl.kl),     asked_of(kept.kl.k1),        asked_of(kept.kl.k2),
                        asked_of(kept.kl.k3)};
  if (!trains) return result;
  std::vector<Tensor> outputs;
  for (const Tensor& t : {result.logp, result.entropy, result.kl, result.k1, result.k2, result.k3})
    if (t.defined()) outputs.push_back(t);
  differentiable("linear_logprob", outputs, inputs,
                 [kept, asked](const auto& gradients, const auto& wanted) mutable {
                   return gradient(kept, asked, gradients, wanted);
                 });
  return result;
}

}  // namespace prefer
