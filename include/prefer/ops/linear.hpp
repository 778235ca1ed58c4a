// Products with a weight, y = x w^T + bias, with gradient: the one way that prefer multiplies by parameters.
#pragma once

#include "prefer/tensor.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace prefer {

struct PackedForms;

/// A weight [out, in], or several of the same width stacked on top of each other ([q; k; v] as one product),
/// and the packed forms that the route in use wants. A value that shares: copies see one weight and one
/// cache. Packed forms follow the weight's version counter: whoever writes the weight through a pointer bumps
/// the version.
class Matrix {
 public:
  Matrix() = default;
  explicit Matrix(Tensor weight) : Matrix(std::vector<Tensor>{std::move(weight)}) {}
  /// Throws Error unless all are [., in] of one type and device.
  explicit Matrix(std::vector<Tensor> stacked);

  bool defined() const { return forms_ != nullptr; }
  /// The weights themselves, leaves where they are trained.
  const std::vector<Tensor>& parts() const { return parts_; }
  /// The weight, when it is one. Throws Error otherwise.
  const Tensor& weight() const;
  int64_t rows() const { return rows_; }        ///< out
  int64_t columns() const { return columns_; }  ///< in
  at::ScalarType dtype() const { return at::typeMetaToScalarType(options_.dtype()); }
  at::Device device() const { return options_.device(); }
  /// Whether any part wants a gradient.
  bool trained() const;
  /// Frees the packed forms; the next product makes its own anew.
  void forget_packed() const;
  /// The weight as it is now, for products x w^T without gradient. Holds nothing but the form that the route
  /// in use wants: it has no parts.
  Matrix frozen() const;

 private:
  friend struct PackedForms;
  std::vector<Tensor> parts_;
  at::TensorOptions options_;
  int64_t rows_ = 0;
  int64_t columns_ = 0;
  std::shared_ptr<PackedForms> forms_;
};

/// y = x w^T + bias: x [M, in] -> [M, out]. On CPU a row's bits do not depend on M (see
/// self_test_invariance). Gradients of x, of the parts and of bias ([out]) are computed where they are wanted
/// and nowhere else. The gradient of w wants x again: it is kept, or made anew by `again`, where that is
/// given. Packed forms of a trained weight are freed after each of its products, as the update makes them
/// stale. Throws Error when shapes, types or devices do not fit. Does not wait for the device.
Tensor linear(const Tensor& x, const Matrix& w, const Tensor& bias = {},
              const std::function<Tensor()>& again = {});

/// The two products without autograd, for ops that have a gradient of their own. They take the same routes,
/// throw alike, and do not wait for the device.
Tensor times_transposed(const Tensor& x, const Matrix& w);  ///< x w^T: [M, in] -> [M, out]
Tensor times(const Tensor& y, const Matrix& w);             ///< y w: [M, out] -> [M, in]
/// Makes now what the first `times` with w would make: its packed form. Throws as it does for a frozen one.
void prepare_times(const Matrix& w);
/// a^T b: [M, out], [M, in] -> [out, in], the gradient of a weight.
Tensor transposed_times(const Tensor& a, const Tensor& b);

}  // namespace prefer
