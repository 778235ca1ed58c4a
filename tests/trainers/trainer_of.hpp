// The trainer of each config; PPO's has the length of an answer as its reward.
#pragma once

#include "prefer/trainers/dpo.hpp"
#include "prefer/trainers/kto.hpp"
#include "prefer/trainers/ppo.hpp"
#include "prefer/trainers/reward.hpp"
#include "prefer/trainers/sft.hpp"

namespace prefer::testing {

inline PpoTrainer trainer_of(const PpoConfig& config, Process& process) {
  return {config, process, [](const std::string&, const std::string& answer) { return answer.size() / 4.0; }};
}
inline DpoTrainer trainer_of(const DpoConfig& config, Process& process) { return {config, process}; }
inline KtoTrainer trainer_of(const KtoConfig& config, Process& process) { return {config, process}; }
inline SftTrainer trainer_of(const SftConfig& config, Process& process) { return {config, process}; }
inline RewardTrainer trainer_of(const RewardConfig& config, Process& process) { return {config, process}; }

}  // namespace prefer::testing
