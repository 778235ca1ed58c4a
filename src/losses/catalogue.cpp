// The catalogue of pairwise preference losses: the one place where they are listed.
#include <algorithm>

#include "prefer/core/error.hpp"
#include "prefer/losses/dpo.hpp"
#include "prefer/losses/ipo.hpp"
#include "prefer/losses/preference_loss.hpp"
#include "prefer/losses/simpo.hpp"

namespace prefer {

std::vector<PreferenceLoss> preference_catalogue() { return {Dpo{}, Ipo{}, SimPo{}}; }

PreferenceLoss::PreferenceLoss() : PreferenceLoss(Dpo{}) {}

void PreferenceLoss::describe(Fields& f) {
  std::string chosen = name();
  std::vector<std::string> known;
  const std::vector<PreferenceLoss> catalogue = preference_catalogue();
  for (const PreferenceLoss& loss : catalogue) known.push_back(loss.name());
  if (std::ranges::find(known, chosen) == known.end()) known.push_back(chosen);  // a loss of the user's own
  f("name", chosen, "which preference loss", one_of(known));
  for (const PreferenceLoss& loss : catalogue) {
    if (loss.name() == chosen && chosen != name()) held_ = loss.held_->copy();
  }
  held_->describe(f);
}

}  // namespace prefer
