// The catalogue of pairwise preference losses: the one place where they are listed.
#include "prefer/core/error.hpp"
#include "prefer/losses/aot.hpp"
#include "prefer/losses/dpo.hpp"
#include "prefer/losses/ipo.hpp"
#include "prefer/losses/preference_loss.hpp"
#include "prefer/losses/simpo.hpp"

#include <algorithm>

namespace prefer {

std::vector<PreferenceLoss> preference_catalogue() { return {Dpo{}, Ipo{}, SimPo{}, Aot{}}; }

PreferenceLoss::PreferenceLoss() : PreferenceLoss(Dpo{}) {}

void PreferenceLoss::describe(Fields& f) {
  std::vector<PreferenceLoss> options = preference_catalogue();
  const auto find = [&](const std::string& wanted) {
    return std::ranges::find(options, wanted, [](const PreferenceLoss& loss) { return loss.name(); });
  };
  if (find(name()) == options.end()) options.push_back(*this);  // a loss of the user's own
  if (find(name())->held_->type() != held_->type())
    fail("a loss of your own is called ", name(), ", as one of the catalogue is; give it another name");
  find(name())->held_ = held_->copy();  // with its knobs as they are; copies stay untouched
  std::vector<Fields::Choice> choices;
  for (const PreferenceLoss& loss : options) {
    choices.push_back({loss.name(), [held = loss.held_](Fields& fields) { held->describe(fields); }});
  }
  std::string selected = name();
  f.choice("name", selected, "which preference loss", choices);
  held_ = find(selected)->held_;
}

}  // namespace prefer
