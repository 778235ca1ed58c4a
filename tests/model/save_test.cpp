// A model that is saved in another's place: at any instant one of the two stands there, whole.
#include "prefer/model/load.hpp"
#include "support/error.hpp"
#include "support/faulty_fs.hpp"
#include "support/memory_fs.hpp"
#include "support/temp_dir.hpp"
#include "support/tiny_model.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <random>

namespace prefer {
namespace {

using testing::error_of;
using testing::FaultyFs;
using testing::MemoryFs;
using testing::tiny_config;
using testing::tiny_model;
using Files = std::map<std::string, std::string>;

TEST(SaveModel, ReplacesAModelAndNothingElse) {
  PosixFs fs;
  const testing::TempDir dir;
  save_model(fs, dir.string() + "/model", *tiny_model(at::kFloat, tiny_config(), 1), {{"old.txt", "x"}});
  save_model(fs, dir.string() + "/model", *tiny_model(at::kFloat, tiny_config(), 2), {});
  EXPECT_EQ(fs.list(dir.string()), std::vector<std::string>{"model"});
  EXPECT_FALSE(fs.exists(dir.string() + "/model/old.txt"));
  fs.make_directory(dir.string() + "/thesis");
  EXPECT_NE(error_of([&] { save_model(fs, dir.string() + "/thesis", *tiny_model(at::kFloat), {}); }), "");
  EXPECT_TRUE(fs.exists(dir.string() + "/thesis"));
}

TEST(SaveModel, RefusesWhatWouldNotBeReadBack) {
  PosixFs fs;
  const testing::TempDir dir;
  const std::string folder = dir.string() + "/model";
  const auto model = tiny_model(at::kFloat);
  save_model(fs, folder, *model, {});
  EXPECT_EQ(error_of([&] { save_model(fs, folder, *model->frozen(), {}); }),
            folder +
                ": a model without model.layers.0.input_layernorm.weight was to be written here; a frozen "
                "copy does not hold its weights");
  EXPECT_EQ(error_of([&] { load_model(fs, folder, at::kFloat); }), "");
  EXPECT_EQ(fs.list(dir.string()), std::vector<std::string>{"model"});
}

TEST(Weights, OfAnotherConfigAreRefusedWhereAModelIsMade) {
  NamedTensors weights = tiny_model(at::kFloat, tiny_config(), 1)->weights();
  weights["extra"] = at::zeros({1});
  EXPECT_EQ(error_of([&] { Transformer(tiny_config(), weights); }), "weight extra [1] is not of this config");
}

Files files_in(MemoryFs& fs, const std::string& folder) {
  Files files;
  if (!fs.exists(folder)) return files;
  for (const std::string& name : fs.list(folder))
    files[name] = read_file(fs, join_path(folder, name), 1 << 20);
  return files;
}

/// A model of another seed is saved in the place of one, with a fault at every call.
class Replaced : public ::testing::TestWithParam<bool> {
 protected:
  Replaced() {
    before_.exchanges = GetParam();
    save(before_, 1);
    before_ = before_.after_power_loss([] { return true; });  // all of it is on the disk
    MemoryFs after = before_;
    FaultyFs counting(after);
    save(counting, 2);
    calls_ = counting.calls();
    old_ = files_in(before_, "run/model");
    new_ = files_in(after, "run/model");
    EXPECT_EQ(after.list("run"), std::vector<std::string>{"model"});
    EXPECT_EQ(old_.size(), new_.size());
    EXPECT_NE(old_, new_);
  }
  static void save(Fs& fs, uint64_t seed) {
    save_model(fs, "run/model", *tiny_model(at::kFloat, tiny_config(), seed), {{"tokenizer.json", "{}"}});
  }
  bool is_one(const Files& files) const { return files == old_ || files == new_; }
  /// Between two renames nothing has the name: the old one is beside it.
  bool one_stands(MemoryFs& fs) const {
    const Files found = files_in(fs, "run/model");
    return is_one(found) || (!GetParam() && found.empty() && files_in(fs, "run/.old-model") == old_);
  }
  /// The next save is one as any other.
  void expect_saves_again(MemoryFs& fs, const std::string& after) {
    fs.end_process();
    save(fs, 2);
    EXPECT_EQ(files_in(fs, "run/model"), new_) << after;
    EXPECT_EQ(fs.list("run"), std::vector<std::string>{"model"}) << after;
  }

  MemoryFs before_;
  std::size_t calls_ = 0;
  Files old_, new_;
};

INSTANTIATE_TEST_SUITE_P(Model, Replaced, ::testing::Values(true, false), [](const auto& exchanges) {
  return exchanges.param ? "ByExchange" : "ByTwoRenames";
});

TEST_P(Replaced, AFailureOfAnyCallLeavesOneOfThem) {
  for (std::size_t call = 0; call < calls_; ++call) {
    for (const FaultyFs::Fault fault : {FaultyFs::Fault::full, FaultyFs::Fault::fail}) {
      MemoryFs fs = before_;
      FaultyFs faulty(fs);
      const int number = fault == FaultyFs::Fault::full ? ENOSPC : EIO;
      faulty.inject(call, fault, number);
      const std::string told = error_of([&] { save(faulty, 2); });
      const Files found = files_in(fs, "run/model");
      EXPECT_TRUE(is_one(found)) << faulty.hit();
      if (told.empty()) {  // only what was in the way, or a close
        EXPECT_EQ(found, new_) << faulty.hit();
      } else {
        EXPECT_NE(told.find(std::strerror(number)), std::string::npos) << told;
      }
      for (const bool kept : {false, true}) {  // and the power goes
        MemoryFs left = fs.after_power_loss([&] { return kept; });
        EXPECT_TRUE(one_stands(left)) << faulty.hit();
      }
      expect_saves_again(fs, faulty.hit());
    }
  }
}

TEST_P(Replaced, AShortWriteIsNoFault) {
  for (std::size_t call = 0; call < calls_; ++call) {
    MemoryFs fs = before_;
    FaultyFs faulty(fs);
    faulty.inject(call, FaultyFs::Fault::short_write);
    save(faulty, 2);
    EXPECT_EQ(files_in(fs, "run/model"), new_) << "call " << call;
  }
}

TEST_P(Replaced, AKillOrAPowerCutAtAnyCallLeavesOneOfThem) {
  std::mt19937 random(1);
  int old_ones = 0, new_ones = 0;
  for (std::size_t call = 0; call < calls_; ++call) {
    for (const unsigned kept_of_four : {0U, 1U, 2U, 3U, 4U}) {  // four: as after a kill
      MemoryFs fs = before_;
      FaultyFs faulty(fs);
      faulty.inject(call, FaultyFs::Fault::kill_after);
      try {
        save(faulty, 2);
      } catch (const testing::Killed&) {
      }
      EXPECT_FALSE(faulty.hit().empty());
      MemoryFs left = fs.after_power_loss([&] { return random() % 4 < kept_of_four; });
      const Files found = files_in(left, "run/model");
      EXPECT_TRUE(one_stands(left)) << faulty.hit();
      old_ones += found == old_;
      new_ones += found == new_;
      expect_saves_again(left, faulty.hit());
    }
  }
  EXPECT_GT(old_ones, 20);
  EXPECT_GT(new_ones, 5);
}

}  // namespace
}  // namespace prefer
