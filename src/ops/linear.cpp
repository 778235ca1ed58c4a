// Products with weights on the route in use, and their gradients.
#include "prefer/ops/linear.hpp"

#include "prefer/core/error.hpp"
#include "prefer/ops/differentiable.hpp"
#include "src/ops/packed.hpp"
#include "src/ops/row_blocks.hpp"
#include "src/ops/transposed.hpp"

namespace prefer {
namespace {

// Fewer rows than this take another path in ATen's libraries, with other bits.
int64_t least_rows(const Tensor& x) {
  if (!x.device().is_cpu()) return 1;
  return x.scalar_type() == at::kFloat ? 16 : 2;
}

void check_product(const char* what, const Tensor& x, const Matrix& w, int64_t width) {
  if (!w.defined()) fail(what, " wants a weight, not an empty Matrix");
  if (!x.defined() || x.dim() != 2 || x.size(1) != width) {
    fail(what, " wants [M, ", width, "] for a weight [", w.rows(), ", ", w.columns(), "], not ",
         x.defined() ? c10::str(x.sizes()) : "an undefined tensor");
  }
  if (x.scalar_type() != w.dtype() || x.device() != w.device()) {
    fail(what, " wants one type and device, not ", x.scalar_type(), " on ", x.device(), " and ", w.dtype(),
         " on ", w.device());
  }
}

void check_bias(const Tensor& bias, const Tensor& x, const Matrix& w) {
  if (!bias.defined()) return;
  if (bias.dim() == 1 && bias.size(0) == w.rows() && bias.scalar_type() == x.scalar_type() &&
      bias.device() == x.device())
    return;
  fail("linear wants a bias [", w.rows(), "] ", x.scalar_type(), " on ", x.device(), ", not ", bias.sizes(),
       " ", bias.scalar_type(), " on ", bias.device());
}

/// What times wants beside what check_product sees.
void check_has_weight(const Matrix& w) {
  if (w.parts().empty()) fail("y w wants a weight, and a frozen Matrix has only its form for x w^T");
}

}  // namespace

Matrix::Matrix(std::vector<Tensor> stacked)
    : parts_(std::move(stacked)), forms_(std::make_shared<PackedForms>()) {
  if (parts_.empty()) fail("Matrix wants at least one weight");
  for (const Tensor& part : parts_) {
    if (!part.defined() || part.dim() != 2 || part.size(1) != parts_.front().size(1) ||
        part.scalar_type() != parts_.front().scalar_type() || part.device() != parts_.front().device()) {
      const auto seen = [](const Tensor& t) {
        return t.defined() ? c10::str(t.sizes(), " ", t.scalar_type(), " on ", t.device())
                           : std::string("an undefined tensor");
      };
      fail("Matrix wants weights [out, in] of one width, type and device, not ", seen(parts_.front()),
           " and ", seen(part));
    }
    rows_ += part.size(0);
  }
  columns_ = parts_.front().size(1);
  options_ = parts_.front().options().requires_grad(false);
}

const Tensor& Matrix::weight() const {
  if (parts_.size() != 1) fail("Matrix::weight wants one weight, and ", parts_.size(), " are stacked here");
  return parts_.front();
}

bool Matrix::trained() const {
  for (const Tensor& part : parts_) {
    if (part.requires_grad()) return true;
  }
  return false;
}

void Matrix::forget_packed() const {
  const std::lock_guard lock(forms_->mutex);
  forms_->forget();
}

Matrix Matrix::frozen() const {
  if (parts_.empty()) return *this;  // it is frozen
  const at::NoGradGuard no_grad;
  Matrix copy = *this;
  copy.forms_ = std::make_shared<PackedForms>();
  copy.parts_.clear();
  if (gemm::route_of(parts_.front()) == GemmRoute::onednn) {
    copy.forms_->packed = gemm::pack(parts_);
  } else {
    copy.forms_->plain = at::cat(parts_, 0);
  }
  return copy;
}

void PackedForms::forget() {
  plain = Tensor();
  packed = packed_transposed = gemm::Packed();
}

// With the lock held: forms of weights as they are now, or none.
PackedForms& PackedForms::current(const Matrix& w) {
  std::vector<std::pair<const void*, int64_t>> now;
  for (const Tensor& part : w.parts_) now.emplace_back(part.const_data_ptr(), part._version());
  PackedForms& forms = *w.forms_;
  if (forms.made_of != now) {
    forms.forget();
    forms.made_of = std::move(now);
  }
  return forms;
}

Tensor PackedForms::plain_of(const Matrix& w) {
  const std::lock_guard lock(w.forms_->mutex);
  PackedForms& forms = current(w);
  const at::NoGradGuard no_grad;
  if (!forms.plain.defined())
    forms.plain = w.parts_.size() == 1 ? w.parts_.front().detach() : at::cat(w.parts_, 0);
  return forms.plain;
}

gemm::Packed PackedForms::packed_of(const Matrix& w) {
  const std::lock_guard lock(w.forms_->mutex);
  PackedForms& forms = current(w);
  if (!forms.packed.defined()) forms.packed = gemm::pack(w.parts_);
  return forms.packed;
}

gemm::Packed PackedForms::packed_transposed_of(const Matrix& w) {
  const std::lock_guard lock(w.forms_->mutex);
  PackedForms& forms = current(w);
  if (!forms.packed_transposed.defined()) forms.packed_transposed = gemm::pack_transposed(w.parts_);
  return forms.packed_transposed;
}

Tensor times_transposed(const Tensor& x, const Matrix& w) {
  check_product("x w^T", x, w, w.columns());
  const at::NoGradGuard no_grad;
  if (x.size(0) == 0) return at::empty({0, w.rows()}, x.options());
  if (gemm::route_of(x) == GemmRoute::onednn)
    return gemm::row_product(x.detach().contiguous(), PackedForms::packed_of(w));
  return at::linear(gemm::padded(x.detach(), least_rows(x)), PackedForms::plain_of(w))
      .narrow(0, 0, x.size(0));  // [M, out]
}

Tensor times(const Tensor& y, const Matrix& w) {
  check_product("y w", y, w, w.rows());
  check_has_weight(w);
  const at::NoGradGuard no_grad;
  if (y.size(0) == 0) return at::empty({0, w.columns()}, y.options());
  if (gemm::route_of(y) != GemmRoute::onednn) return at::mm(y.detach(), PackedForms::plain_of(w));
  return gemm::packed_product(y.detach().contiguous(), PackedForms::packed_transposed_of(w));  // [M, in]
}

void prepare_times(const Matrix& w) {
  check_has_weight(w);
  if (gemm::route_of(w.parts().front()) == GemmRoute::onednn) PackedForms::packed_transposed_of(w);
}

Tensor transposed_times(const Tensor& a, const Tensor& b) {
  if (a.dim() != 2 || b.dim() != 2 || a.size(0) != b.size(0)) {
    fail("a^T b wants [M, out] and [M, in], not ", a.sizes(), " and ", b.sizes());
  }
  const at::NoGradGuard no_grad;
  if (a.size(0) == 0) return at::zeros({a.size(1), b.size(1)}, a.options());
  const bool packed = a.scalar_type() == at::kFloat && gemm::route_of(a) == GemmRoute::onednn;
  if (!packed) return at::mm(a.detach().t(), b.detach());
  return gemm::packed_product(gemm::transposed(a), gemm::pack_transposed(b.detach()));  // [out, in]
}

Tensor linear(const Tensor& x, const Matrix& w, const Tensor& bias, const std::function<Tensor()>& again) {
  check_product("linear", x, w, w.columns());
  check_bias(bias, x, w);
  Tensor y = times_transposed(x, w);
  std::vector<Tensor> inputs{x, bias};
  inputs.insert(inputs.end(), w.parts().begin(), w.parts().end());
  const bool wanted = wants_gradient(inputs);
  if (bias.defined()) {
    const at::NoGradGuard no_grad;
    y = y.add(bias);
  }
  if (!wanted) return y;
  if (w.trained()) w.forget_packed();
  y = y.detach();  // a row range of a padded product is a view, which cannot carry a gradient of its own
  const Tensor kept = w.trained() && !again ? x.detach() : Tensor();
  differentiable("linear", {y}, inputs,
                 [kept, again, w](const std::vector<Tensor>& gradients, const std::vector<bool>& want) {
                   const Tensor dy = gradients[0].contiguous();
                   std::vector<Tensor> result(want.size());
                   if (want[0]) result[0] = times(dy, w);
                   if (want[1]) result[1] = dy.sum(0);
                   if (!w.trained()) return result;
                   w.forget_packed();
                   const Tensor dw = transposed_times(dy, kept.defined() ? kept : again());
                   for (size_t i = 0, row = 0; i < w.parts().size(); ++i) {
                     const int64_t height = w.parts()[i].size(0);
                     if (want[2 + i])
                       result[2 + i] =
                           w.parts().size() == 1 ? dw : dw.narrow(0, static_cast<int64_t>(row), height);
                     row += static_cast<size_t>(height);
                   }
                   return result;
                 });
  return y;
}

}  // namespace prefer
