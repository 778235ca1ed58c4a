// The losses of reward models behind one type, from which a config chooses one by name.
#pragma once

#include "prefer/losses/bradley_terry.hpp"
#include "prefer/losses/plackett_luce.hpp"

#include <string>
#include <variant>

namespace prefer {

struct RewardLoss {
  std::variant<BradleyTerry, PlackettLuce> chosen;

  RewardLoss() = default;
  RewardLoss(BradleyTerry loss) : chosen(loss) {}  // NOLINT: implicit on purpose
  RewardLoss(PlackettLuce loss) : chosen(loss) {}  // NOLINT: implicit on purpose

  /// Whether it learns from rankings, not from pairs.
  bool ranks() const { return std::holds_alternative<PlackettLuce>(chosen); }
  /// `name` first, then the knobs of that loss.
  void describe(Fields& f) {
    BradleyTerry pairs = ranks() ? BradleyTerry{} : std::get<BradleyTerry>(chosen);
    PlackettLuce rankings;
    std::string name = ranks() ? PlackettLuce::name : BradleyTerry::name;
    f.choice("name", name, "bradley_terry learns from pairs, plackett_luce from rankings of several answers",
             {{BradleyTerry::name, [&](Fields& g) { pairs.describe(g); }},
              {PlackettLuce::name, [&](Fields& g) { rankings.describe(g); }}});
    if (name == PlackettLuce::name)
      chosen = rankings;
    else
      chosen = pairs;
  }
};

}  // namespace prefer
