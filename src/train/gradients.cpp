// Takes gradients out of autograd into buckets, and sends buckets to the other ranks.
#include "prefer/train/gradients.hpp"

#include "prefer/core/error.hpp"

#include <ATen/ops/linalg_vector_norm.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

namespace prefer {
namespace {

constexpr int64_t kPiece = 1 << 16;         // elements whose squares one thread adds up
constexpr int64_t kBucketBytes = 25 << 20;  // of sums: as large as PyTorch's DDP has them
constexpr int64_t kAlignment = 64;          // bytes, for vector loads

template <class T>
double squares(const T* values, int64_t size) {
  double lane[8] = {};
  int64_t i = 0;
  for (; i + 8 <= size; i += 8) {
    for (int64_t k = 0; k < 8; ++k) lane[k] += static_cast<double>(values[i + k]) * values[i + k];
  }
  for (; i < size; ++i) lane[0] += static_cast<double>(values[i]) * values[i];
  return ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
}

template <class T>
double sum_of_squares(const Tensor& tensor) {
  const T* values = tensor.const_data_ptr<T>();
  const int64_t size = tensor.numel();
  std::vector<double> pieces((size + kPiece - 1) / kPiece);
  at::parallel_for(0, static_cast<int64_t>(pieces.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      pieces[p] = squares(values + p * kPiece, std::min(kPiece, size - p * kPiece));
    }
  });
  double sum = 0;
  for (const double piece : pieces) sum += piece;
  return sum;
}

/// Of each tensor; a GPU is waited for once.
std::vector<double> sums_of_squares(const std::vector<Tensor>& tensors) {
  std::vector<double> sums;
  if (tensors.front().is_cpu()) {
    for (const Tensor& t : tensors)
      sums.push_back(t.scalar_type() == at::kDouble ? sum_of_squares<double>(t) : sum_of_squares<float>(t));
    return sums;
  }
  std::vector<Tensor> norms;
  for (const Tensor& t : tensors)
    norms.push_back(at::linalg_vector_norm(t, 2, std::nullopt, false, at::kDouble));
  const Tensor read = at::stack(norms).to(at::kCPU);
  const double* norm = read.const_data_ptr<double>();
  for (std::size_t i = 0; i < tensors.size(); ++i) sums.push_back(norm[i] * norm[i]);
  return sums;
}

/// Elements that a parameter takes in its bucket.
int64_t room(const Tensor& value, int64_t width) {
  const int64_t step = kAlignment / width;
  return (value.numel() + step - 1) / step * step;
}

}  // namespace

class Gradients::Collect final : public torch::autograd::PostAccumulateGradHook {
 public:
  Collect(Gradients& gradients, std::size_t index) : gradients_(gradients), index_(index) {}

  void operator()(const Tensor& parameter) override {
    const c10::NoGradGuard no_grad;
    gradients_.add(index_, parameter.grad());
    parameter.mutable_grad() = Tensor();
  }

 private:
  Gradients& gradients_;
  std::size_t index_;
};

Gradients::Gradients(std::vector<Trained> parameters, bool exact)
    : parameters_(std::move(parameters)),
      bucket_of_(parameters_.size()),
      parts_(parameters_.size()),
      empty_(parameters_.size(), true),
      missing_(parameters_.size(), false) {
  if (exact) fixed_.emplace(parameters_.size());
  make_buckets();
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor& value = parameters_[i].value;
    const at::ScalarType type = value.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    sums_.push_back(exact ? at::empty(value.sizes(), value.options().dtype(type).requires_grad(false))
                          : parts_[i]);
    torch::autograd::impl::set_post_acc_grad_hooks(value, std::make_unique<Collect>(*this, i));
  }
}

Gradients::~Gradients() {
  for (const Trained& parameter : parameters_) {
    torch::autograd::impl::set_post_acc_grad_hooks(parameter.value, nullptr);
  }
}

void Gradients::make_buckets() {
  std::vector<int64_t> begins(parameters_.size());
  std::vector<int64_t> sizes;  // of the buckets, in elements
  std::vector<at::TensorOptions> options;
  for (std::size_t i = parameters_.size(); i-- > 0;) {  // backward comes to the last first
    const Tensor& value = parameters_[i].value;
    const at::ScalarType wide = value.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    const at::TensorOptions here = value.options().dtype(fixed_ ? at::kLong : wide).requires_grad(false);
    const auto width = static_cast<int64_t>(here.dtype().itemsize());
    const int64_t more = room(value, width);
    const bool joins = !sizes.empty() && options.back().dtype() == here.dtype() &&
                       options.back().device() == here.device() &&
                       (sizes.back() + more) * width <= kBucketBytes;
    if (!joins) {
      sizes.push_back(0);
      options.push_back(here);
      buckets_.emplace_back();
    }
    begins[i] = sizes.back();
    sizes.back() += more;
    bucket_of_[i] = buckets_.size() - 1;
    buckets_.back().members.push_back(i);
  }
  for (std::size_t b = 0; b < buckets_.size(); ++b) {
    buckets_[b].sum = at::empty({sizes[b]}, options[b]);
    for (const std::size_t i : buckets_[b].members) {
      const Tensor& value = parameters_[i].value;
      parts_[i] = buckets_[b].sum.narrow(0, begins[i], value.numel()).view(value.sizes());
    }
  }
}

void Gradients::clear(int64_t slots) {
  empty_.assign(empty_.size(), true);
  team_ = nullptr;
  if (fixed_) fixed_->begin(slots);
}

void Gradients::add(std::size_t i, const Tensor& gradient) {
  if (fixed_) {
    fixed_->add(parts_[i], gradient, i, empty_[i]);
  } else if (empty_[i]) {
    parts_[i].copy_(gradient);
  } else {
    parts_[i].add_(gradient);
  }
  empty_[i] = false;
  if (team_ == nullptr) return;
  if (!missing_[i]) fail("one backward gave ", parameters_[i].name, " two gradients; they are to be one");
  missing_[i] = false;
  --buckets_[bucket_of_[i]].missing;
  send_filled();
}

void Gradients::last(Team& team) {
  team_ = &team;
  sent_ = 0;
  missing_.assign(missing_.size(), true);
  for (Bucket& bucket : buckets_) bucket.missing = bucket.members.size();
}

void Gradients::send_filled() {  // in one order on every rank
  while (sent_ < buckets_.size() && buckets_[sent_].missing == 0) send(buckets_[sent_]);
}

void Gradients::send(Bucket& bucket) {
  for (const std::size_t i : bucket.members) {
    if (empty_[i]) parts_[i].zero_();
    empty_[i] = false;
  }
  bucket.wait = team_->start(bucket.sum);
  ++sent_;
}

bool Gradients::reduce(Team& team) {
  const c10::NoGradGuard no_grad;
  if (team_ == nullptr) last(team);
  while (sent_ < buckets_.size()) send(buckets_[sent_]);
  for (Bucket& bucket : buckets_) {
    bucket.wait();
    bucket.wait = nullptr;
  }
  team_ = nullptr;
  if (!fixed_) return true;
  if (!fixed_->hold(team)) {
    empty_.assign(empty_.size(), true);
    return false;
  }
  for (std::size_t i = 0; i < sums_.size(); ++i) fixed_->read(sums_[i], parts_[i], i);
  return true;
}

void Gradients::passed() {
  if (fixed_) fixed_->passed();
}

std::vector<Tensor>& Gradients::sums() {
  for (std::size_t i = 0; i < sums_.size(); ++i) {
    if (empty_[i]) sums_[i].zero_();
    empty_[i] = false;
  }
  return sums_;
}

double Gradients::norm() {
  const std::vector<double> squares = sums_of_squares(sums());
  return std::sqrt(std::accumulate(squares.begin(), squares.end(), 0.0));
}

std::string Gradients::first_not_finite() {
  for (std::size_t i = 0; i < sums().size(); ++i) {
    if (!std::isfinite((sums_[i] * 0).sum().item<double>()))
      return parameters_[i].name;  // squares may overflow
  }
  return "";
}

std::string Gradients::largest() {
  const std::vector<double> squares = sums_of_squares(sums());
  return parameters_[static_cast<std::size_t>(std::ranges::max_element(squares) - squares.begin())].name;
}

NamedTensors Gradients::state() const { return fixed_ ? fixed_->state() : NamedTensors(); }

void Gradients::restore(const NamedTensors& state) {
  if (fixed_) fixed_->restore(state);
}

}  // namespace prefer
