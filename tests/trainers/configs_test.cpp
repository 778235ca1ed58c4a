// The recipes in configs/: every key is known to its program, and says something else than the default.
#include "prefer/trainers/dpo.hpp"
#include "prefer/trainers/kto.hpp"
#include "prefer/trainers/ppo.hpp"
#include "prefer/trainers/reward.hpp"
#include "prefer/trainers/sft.hpp"

#include <gtest/gtest.h>

#include <filesystem>

namespace prefer {
namespace {

/// Copies of `config` that lack one key each, with that key.
std::vector<std::pair<std::string, Json>> without_each(const Json& config) {
  std::vector<std::pair<std::string, Json>> copies;
  for (const auto& [key, value] : config.as_object()) {
    Json lacking = config;
    if (!value.is_object()) {
      std::erase_if(lacking.as_object(), [&](const auto& member) { return member.first == key; });
      copies.emplace_back(key, lacking);
    } else {
      for (auto& [below, group] : without_each(value))
        copies.emplace_back(key + "." + below, lacking.set(key, group));
    }
  }
  return copies;
}

template <class Config>
void expect_no_default(const Json& recipe) {
  const auto resolved = [](const Json& config) {
    return config_json(read_config<Config>(
        config, {{"model", "m"}, {"train", "t"}, {"eval", "e"}, {"output", "o"}}, "recipe"));
  };
  const Json whole = resolved(recipe);
  for (const auto& [key, lacking] : without_each(recipe))
    EXPECT_FALSE(resolved(lacking) == whole) << key << " repeats the default";
}

TEST(Configs, HoldOnlyWhatDiffersFromTheDefaults) {
  const std::map<std::string, void (*)(const Json&)> programs = {
      {"dpo", expect_no_default<DpoConfig>},       {"hh", expect_no_default<DpoConfig>},
      {"kto", expect_no_default<KtoConfig>},       {"ppo", expect_no_default<PpoConfig>},
      {"reward", expect_no_default<RewardConfig>}, {"truthfulqa", expect_no_default<RewardConfig>},
      {"sft", expect_no_default<SftConfig>}};
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(PREFER_SOURCE_DIR "/configs")) {
    if (entry.path().extension() != ".json") continue;
    SCOPED_TRACE(entry.path().string());
    ASSERT_TRUE(programs.contains(entry.path().stem())) << "which program's is it?";
    programs.at(entry.path().stem())(read_config_file(entry.path().string()));
    ++count;
  }
  EXPECT_EQ(count, static_cast<int>(programs.size()));
}

}  // namespace
}  // namespace prefer
