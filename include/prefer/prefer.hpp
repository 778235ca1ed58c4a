// Everything a program needs: trainers, configs, models, text, generation and the loss interface. Single
// losses are included by name (prefer/losses/dpo.hpp).
#pragma once

#include "prefer/core/lines.hpp"
#include "prefer/core/program.hpp"
#include "prefer/core/random.hpp"
#include "prefer/dist/ranks.hpp"
#include "prefer/eval/compare.hpp"
#include "prefer/eval/report.hpp"
#include "prefer/losses/preference_loss.hpp"
#include "prefer/model/generate.hpp"
#include "prefer/model/load.hpp"
#include "prefer/objectives/measure.hpp"
#include "prefer/objectives/score.hpp"
#include "prefer/rollout/lexicon.hpp"
#include "prefer/text/json.hpp"
#include "prefer/text/spans.hpp"
#include "prefer/trainers/dpo.hpp"
#include "prefer/trainers/kto.hpp"
#include "prefer/trainers/process.hpp"
#include "prefer/trainers/progress.hpp"
#include "prefer/trainers/reward.hpp"
#include "prefer/trainers/sft.hpp"
