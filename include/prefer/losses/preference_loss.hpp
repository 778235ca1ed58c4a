// Any pairwise preference loss behind one type, and the catalogue from which a config chooses one by name.
#pragma once

#include "prefer/core/config.hpp"
#include "prefer/losses/pairs.hpp"

#include <concepts>
#include <memory>
#include <string>
#include <typeinfo>
#include <vector>

namespace prefer {

/// A loss on pairs: a struct with `Tensor operator()(const Pairs&) const` that returns [N], and a `name`. It
/// may have besides
/// - `describe(Fields&)` for its knobs: one left out is not in a run's config.json, so that resuming cannot
///   notice that it was changed;
/// - `static constexpr bool needs_reference = false`: it reads no reference;
/// - `static constexpr bool coupled = true`: the loss of a pair depends on the others; it is then given all
///   pairs of the step at once, without grades;
/// - `Tensor reward(const Side&) const`, [N]: the reward it implies, unless that is beta times the log-ratio,
///   beta being its public member of that name, or 1.
/// A loss of your own has a name that the catalogue has not.
template <class L>
concept PairwiseLoss = requires(const L& loss, const Pairs& pairs) {
  { loss(pairs) } -> std::convertible_to<Tensor>;
  { L::name } -> std::convertible_to<std::string>;
};

class PreferenceLoss {
 public:
  template <PairwiseLoss L>
  PreferenceLoss(L loss)
      : held_(std::make_shared<Held<L>>(std::move(loss))) {}  // NOLINT: implicit on purpose
  PreferenceLoss();                                           ///< Dpo with its defaults

  Tensor operator()(const Pairs& pairs) const { return held_->loss(pairs); }  // [N]
  std::string name() const { return held_->name(); }
  bool needs_reference() const { return held_->needs_reference(); }
  bool coupled() const { return held_->coupled(); }
  /// The reward that the loss implies, as TRL reports it: its own `reward(side)` where it has one, else
  /// beta (log pi - log pi_ref), or beta times the mean log-prob a token where it reads no reference. [N]
  Tensor reward(const Side& side) const { return held_->reward(side); }
  /// `name` first, chosen from the catalogue, then the knobs of that loss.
  void describe(Fields& f);

 private:
  struct Any {
    virtual ~Any() = default;
    virtual Tensor loss(const Pairs&) const = 0;
    virtual std::string name() const = 0;
    virtual bool needs_reference() const = 0;
    virtual bool coupled() const = 0;
    virtual Tensor reward(const Side&) const = 0;
    virtual void describe(Fields&) = 0;
    virtual std::shared_ptr<Any> copy() const = 0;
    virtual const std::type_info& type() const = 0;
  };
  template <class L>
  struct Held final : Any {
    explicit Held(L l) : value(std::move(l)) {
      // A member of another type would be left without a word.
      if constexpr (requires { &L::describe; })
        static_assert(
            requires(L & loss, Fields & f) { loss.describe(f); }, "wants describe(Fields&)");
      if constexpr (requires { &L::reward; })
        static_assert(
            requires(const L& loss, const Side& side) {
              { loss.reward(side) } -> std::convertible_to<Tensor>;
            },
            "wants Tensor reward(const Side&) const");
      if constexpr (requires { L::needs_reference; })
        static_assert(std::same_as<decltype(L::needs_reference), const bool>, "wants a constant bool");
      if constexpr (requires { L::coupled; })
        static_assert(std::same_as<decltype(L::coupled), const bool>, "wants a constant bool");
    }
    Tensor loss(const Pairs& pairs) const override { return value(pairs); }
    std::string name() const override { return L::name; }
    bool needs_reference() const override {
      if constexpr (requires { L::needs_reference; }) {
        return L::needs_reference;
      } else {
        return true;
      }
    }
    bool coupled() const override {
      if constexpr (requires { L::coupled; }) {
        return L::coupled;
      } else {
        return false;
      }
    }
    Tensor reward(const Side& side) const override {
      if constexpr (requires { value.reward(side); }) {
        return value.reward(side);
      } else {
        double beta = 1;
        if constexpr (requires { value.beta; }) beta = value.beta;
        return beta * (needs_reference() ? side.ratio() : side.mean());
      }
    }
    void describe(Fields& f) override {
      if constexpr (requires { value.describe(f); }) value.describe(f);
    }
    std::shared_ptr<Any> copy() const override { return std::make_shared<Held>(value); }
    const std::type_info& type() const override { return typeid(L); }
    L value;
  };
  std::shared_ptr<Any> held_;
};

/// Every loss that a config can name, with its defaults (src/losses/catalogue.cpp is the one place that lists
/// them).
std::vector<PreferenceLoss> preference_catalogue();

}  // namespace prefer
