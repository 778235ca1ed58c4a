// Checkpoints: resuming in the same bits, refusing what changed, finding what is damaged.
#include "support/error.hpp"
#include "support/memory_fs.hpp"
#include "support/temp_dir.hpp"
#include "tests/train/session.hpp"

namespace prefer::testing {
namespace {

using Names = std::vector<std::string>;

TEST(Resume, IsBitwiseAfterAStopAtEveryStep) {
  MemoryFs whole;
  const NamedTensors expected = Session(whole).run(false);
  const auto files = lasting_files(whole);
  for (int64_t stop = 1; stop < kSteps; ++stop) {
    MemoryFs fs;
    Session first(fs), second(fs);
    first.stop_at = stop;
    first.run(false);
    EXPECT_TRUE(first.result.paused);
    EXPECT_TRUE(same_bits(second.run(true), expected)) << stop;
    EXPECT_EQ(second.began, stop);
    EXPECT_EQ(lasting_files(fs), files) << stop;
    EXPECT_EQ(fs.open_files(), 0U);
  }
}

TEST(Resume, StartsWhereThereIsNothingAndEndsAtOnceWhereAllIsDone) {
  MemoryFs fs;
  Session fresh(fs), again(fs);
  const NamedTensors expected = fresh.run(true);
  EXPECT_EQ(fresh.began, 0);
  EXPECT_TRUE(same_bits(again.run(true), expected));
  EXPECT_EQ(again.began, kSteps);
}

TEST(Resume, GoesOnWithMoreSteps) {
  MemoryFs fs;
  Session(fs).run(false);
  Session longer(fs);
  longer.config.steps = 15;
  longer.identity.config.set("steps", 15).set("output", "elsewhere");
  longer.run(true);
  EXPECT_EQ(longer.began, 12);
  EXPECT_EQ(longer.result.step, 15);
}

TEST(Resume, TwoRanksContinueAsOneRun) {
  const TempDir dir;
  PosixFs fs;
  std::vector<NamedTensors> whole(2), resumed(2);
  const auto run = [&](const std::string& output, int64_t stop, bool resume,
                       std::vector<NamedTensors>& states) {
    Threads(2).run([&](Team& team) {
      Session session(fs);
      session.output = dir / output;
      session.stop_at = stop;
      states[static_cast<std::size_t>(team.rank())] = session.run(resume, team);
    });
  };
  run("whole", 0, false, whole);
  run("cut", 7, false, resumed);
  run("cut", 0, true, resumed);
  for (std::size_t rank = 0; rank < 2; ++rank) {
    EXPECT_TRUE(same_bits(resumed[rank], whole[0]));
    EXPECT_TRUE(same_bits(whole[rank], whole[0]));
  }
}

TEST(Resume, RefusesAUsedFolderUnlessAsked) {
  MemoryFs fs;
  Session(fs).run(false);
  EXPECT_EQ(error_of([&] { Session(fs).run(false); }),
            "output out is in use: it holds checkpoint-12; resume=true continues, or choose another folder");
}

TEST(Resume, RefusesWhatChangedByItsName) {
  MemoryFs fs;
  Session(fs).run(false);
  Session config(fs), input(fs), key(fs);
  config.identity.config = parse_json(R"({"loss": {"beta": 0.2}})", "test");
  EXPECT_EQ(error_of([&] { config.run(true); }),
            "resume=true, but loss.beta was 0.1 and is 0.2 since out/checkpoint-12; put it back, or choose "
            "another output");
  input.identity.inputs["train (pairs.jsonl)"] = "c3";
  EXPECT_NE(error_of([&] { input.run(true); }).find("contents of train (pairs.jsonl) have changed"),
            std::string::npos);
  key.identity.config.set("seed", 3);
  EXPECT_NE(error_of([&] { key.run(true); }).find("seed was not there and is 3"), std::string::npos);
}

TEST(Resume, GoesOnWhereANewerProgramHasKeysThatSayNothing) {
  MemoryFs fs;
  Session(fs).run(false);
  Session newer(fs);
  newer.identity.config.set("list", Json::array()).set("text", Json());
  EXPECT_EQ(error_of([&] { newer.run(true); }), "");
}

TEST(Resume, SaysWhereTheBitsWillDiffer) {
  MemoryFs fs;
  Session(fs).run(false);
  Session other(fs);
  other.identity.isa = "avx2";
  other.run(true);
  EXPECT_EQ(other.notes, Names{"continued not bitwise from out/checkpoint-12: avx2 instead of avx512"});
}

TEST(Checkpoints, KeepTheNewestTwoAndNothingElse) {
  MemoryFs fs;
  Session(fs).run(false);
  EXPECT_EQ(fs.list("out"), (Names{"checkpoint-12", "checkpoint-9", "metrics.jsonl", "times.jsonl"}));
}

TEST(Checkpoints, ClearAwayWhatKilledRunsLeft) {
  MemoryFs fs;
  Session(fs).run(false);
  fs.make_directory("out/.tmp-15-99");
  fs.put("out/.tmp-15-99/weights.safetensors", "half");
  fs.make_directory("out/.trash-checkpoint-3");
  Session(fs).run(true);
  EXPECT_EQ(fs.list("out"), (Names{"checkpoint-12", "checkpoint-9", "metrics.jsonl", "times.jsonl"}));
}

TEST(Checkpoints, AskForRoomBeforeTheFirstStep) {
  MemoryFs fs;
  fs.free = 1000;
  const std::string error = error_of([&] { Session(fs).run(false); });
  EXPECT_EQ(error.rfind("output out wants 3.3 MB for checkpoints of 1.0 MB, and 1000 bytes are free", 0), 0U)
      << error;
}

TEST(Checkpoints, KeepTheFolderToOneProcess) {
  MemoryFs fs;
  std::vector<std::string> others;
  Session first(fs);
  first.more = {[&](StepEvent& event) {
    if (event.step != 5) return;
    for (const bool resume : {false, true}) others.push_back(error_of([&] { Session(fs).run(resume); }));
  }};
  first.run(false);
  const std::string said =
      "output out: another process is at work in it; wait until it ends, or choose another folder";
  EXPECT_EQ(others, (std::vector{said, said}));
  EXPECT_EQ(fs.list("out"), (Names{"checkpoint-12", "checkpoint-9", "metrics.jsonl", "times.jsonl"}));
  Session again(fs);
  again.run(true);
  EXPECT_EQ(again.began, kSteps);
}

TEST(Checkpoints, SayWhereAFileSystemHasNoLocks) {
  struct NoLocks : MemoryFs {
    Handle lock_directory(const std::string& path) override { throw FsError(path, "lock", ENOLCK); }
  } fs;
  Session session(fs);
  session.run(false);
  EXPECT_EQ(session.notes,
            Names{"out: could not lock: No locks available; see to it that no other process works there"});
}

TEST(Checkpoints, RestoreNothingThatDoesNotFit) {
  TinySource source;
  TinyObjective small, other({at::kFloat});
  Training training(tiny_config(3), source, small), another(tiny_config(3), source, other);
  const NamedTensors before = copied(training.state());
  EXPECT_EQ(error_of([&] { training.restore(1, another.state()); }), "the checkpoint lacks model.w_Double");
  NamedTensors wrong = copied(training.state());
  wrong["optimizer.m.model.w_Double"] = at::zeros({1}, at::kDouble);
  EXPECT_EQ(error_of([&] { training.restore(1, wrong); }),
            "m.model.w_Double is Double [3, 1], and in the checkpoint Double [1]");
  for (const char* name : {"guard.norms", "objective.passed"}) {
    NamedTensors less = copied(training.state());
    less.erase(name);
    for (auto& [_, tensor] : less) tensor = tensor + 1;
    EXPECT_EQ(error_of([&] { training.restore(1, less); }), std::string("the checkpoint lacks ") + name);
  }
  EXPECT_TRUE(same_bits(training.state(), before));
}

/// A finished run whose newest checkpoint a test damages: the next run must fall back to step 9 and say why.
struct Damage {
  MemoryFs fs;
  std::string newest = "out/checkpoint-12/";

  Damage() { Session(fs).run(false); }
  std::string found() {
    TinySource source;
    TinyObjective objective({at::kDouble, at::kFloat, at::kBFloat16});
    Training training(tiny_config(kSteps), source, objective);
    Session session(fs);
    Checkpoints checkpoints(fs, "out", {}, session.identity);
    Alone team;
    EXPECT_EQ(checkpoints.open(true, 0, team), 9);
    if (checkpoints.notes().size() != 1) return "no note";
    return checkpoints.notes().front();
  }
};

/// Whether a note on damage at byte `at` names the place: a tensor whose bytes hold it, or the header before
/// all tensors.
bool names_the_place(const std::string& note, const std::string& bytes, std::size_t at) {
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  if (at < 8 + header) return note.find("the header, from byte 0,") != std::string::npos;
  const std::size_t range = note.find(": bytes ");
  unsigned long long begin = 0, end = 0;
  return range != std::string::npos &&
         std::sscanf(note.c_str() + range, ": bytes %llu to %llu (", &begin, &end) == 2 && begin <= at &&
         at < end;
}

TEST(Damaged, AnyFlippedByteIsFoundAndItsPlaceNamed) {
  Damage damage;
  for (const std::string& name : damage.fs.list(damage.newest)) {
    const std::string path = damage.newest + name, good = read_file(damage.fs, path, 1 << 20);
    for (std::size_t i = 0; i < good.size(); ++i) {
      for (const int flipped : {1 << (i % 8), 255}) {
        std::string bad = good;
        bad[i] = static_cast<char>(bad[i] ^ flipped);
        damage.fs.put(path, bad);
        const std::string note = damage.found();
        ASSERT_EQ(note.rfind("out/checkpoint-12 is damaged and left aside: " + path + ":", 0), 0U)
            << i << ": " << note;
        ASSERT_TRUE(name == "manifest.json" ? note.find("byte") != std::string::npos
                                            : names_the_place(note, good, i))
            << i << ": " << note;
      }
    }
    damage.fs.put(path, good);
  }
}

TEST(Damaged, ATensorsBytesAreNamed) {
  Damage damage;
  std::string bytes = read_file(damage.fs, damage.newest + "weights.safetensors", 1 << 20);
  bytes.back() ^= 1;
  damage.fs.put(damage.newest + "weights.safetensors", bytes);
  const std::string note = damage.found();
  EXPECT_NE(note.find("(weights.model.w_BFloat16) is not what its manifest says"), std::string::npos) << note;
}

TEST(Damaged, AFolderUnderTheNameOfAnotherStepIsFound) {
  Damage damage;
  for (const std::string& name : damage.fs.list(damage.newest)) {
    damage.fs.put(damage.newest + name, read_file(damage.fs, "out/checkpoint-9/" + name, 1 << 20));
  }
  EXPECT_EQ(damage.found(), "out/checkpoint-12 is damaged and left aside: out/checkpoint-12: is of step 9");
}

TEST(Damaged, WhereNoCheckpointIsGoodTheRunIsNotBegunAgain) {
  Damage damage;
  damage.fs.put(damage.newest + "state.safetensors", "no");
  damage.fs.remove("out/checkpoint-9/manifest.json");
  const std::string metrics = read_file(damage.fs, "out/metrics.jsonl", 1 << 20);
  const std::string error = error_of([&] { Session(damage.fs).run(true); });
  EXPECT_EQ(error.rfind(
                "resume=true, but output out holds no good checkpoint: out/checkpoint-12 is damaged and left "
                "aside: out/checkpoint-12/state.safetensors: ends at byte 2, and its manifest says ",
                0),
            0U)
      << error;
  EXPECT_EQ(read_file(damage.fs, "out/metrics.jsonl", 1 << 20), metrics);
}

TEST(Checkpoints, SayWhichFilesAreNotTheirs) {
  MemoryFs fs;
  Session(fs).run(false);
  fs.put("out/checkpoint-12/notes.txt", "mine");
  Session again(fs);
  again.run(true);
  EXPECT_EQ(again.began, kSteps);
  EXPECT_EQ(again.notes, Names{"out/checkpoint-12/notes.txt is not in the manifest, and not read"});
}

TEST(Damaged, ShorterLongerMissingAndSwappedFilesAreFound) {
  Damage damage;
  for (const std::string& name : damage.fs.list(damage.newest)) {
    const std::string path = damage.newest + name, good = read_file(damage.fs, path, 1 << 20);
    for (const std::string& bad : {good.substr(0, good.size() - 1), good + "x", std::string(),
                                   read_file(damage.fs, "out/checkpoint-9/" + name, 1 << 20)}) {
      damage.fs.put(path, bad);
      EXPECT_NE(damage.found().find("out/checkpoint-12 is damaged"), std::string::npos);
    }
    damage.fs.remove(path);
    EXPECT_NE(damage.found().find(name), std::string::npos);
    damage.fs.put(path, good);
  }
}

TEST(Damaged, ItIsNoneOfThoseThatAreKept) {
  Damage damage;
  damage.fs.put(damage.newest + "state.safetensors", "no");
  Session again(damage.fs);
  again.config.steps = 15;
  again.config.save_every = 7;
  again.stop_at = 14;
  again.run(true);
  EXPECT_EQ(again.began, 9);
  EXPECT_EQ(damage.fs.list("out"),
            (Names{"checkpoint-12", "checkpoint-14", "checkpoint-9", "metrics.jsonl", "times.jsonl"}));
}

TEST(Damaged, ReachedAgainItIsReplacedAndTheRunEndsInTheSameBytes) {
  Damage damage;
  const auto files = lasting_files(damage.fs);
  damage.fs.put(damage.newest + "state.safetensors", "no");
  Session again(damage.fs);
  again.run(true);
  EXPECT_EQ(again.began, 9);
  EXPECT_EQ(lasting_files(damage.fs), files);
  EXPECT_EQ(damage.fs.list("out"), (Names{"checkpoint-12", "checkpoint-9", "metrics.jsonl", "times.jsonl"}));
}

}  // namespace
}  // namespace prefer::testing
