// A loss of a consumer's own on tiny tensors, through prefer's interface, against numbers worked out by hand.
#include "prefer/prefer.hpp"

#include <cstdio>

/// Hinge on the reward margin, max(0, 1 - beta h): examples/own_loss.cpp has its source.
struct Hinge {
  static constexpr const char* name = "hinge";
  double beta = 0.5;
  prefer::Tensor operator()(const prefer::Pairs& p) const {
    return at::relu(1 - beta * (p.chosen.ratio() - p.rejected.ratio()));  // [N]
  }
};

int main() {
  const auto numbers = [](const std::vector<double>& values) {
    return prefer::tensor_of(values, at::kDouble);
  };
  prefer::Pairs pairs;
  pairs.chosen.logp = numbers({-1, -2, -3}).requires_grad_();
  pairs.rejected.logp = numbers({-3, -2, -2});
  pairs.chosen.reference = pairs.rejected.reference = numbers({-2, -2, -2});

  const prefer::PreferenceLoss loss = Hinge{};
  const prefer::Tensor each = loss(pairs);  // h is 2, 0, -1
  each.sum().backward();
  const bool right = at::equal(each, numbers({0, 1, 1.5})) &&
                     at::equal(pairs.chosen.logp.grad(), numbers({0, -0.5, -0.5})) &&
                     at::equal(loss.reward(pairs.chosen), numbers({0.5, 0, -0.5}));
  std::printf("%s: %s\n", loss.name().c_str(), right ? "as worked out" : "wrong");
  return right ? 0 : 1;
}
