// Two processes of dpo with the variables of each launcher: they find each other, and end in the bytes of
// launch's two.
#include "support/port.hpp"
#include "support/tiny_run.hpp"
#include "tests/programs/dpo.hpp"

#include <torch/csrc/distributed/c10d/TCPStore.hpp>

namespace prefer::testing {
namespace {

/// As torchrun's agent hosts one for its ranks.
c10::intrusive_ptr<c10d::TCPStore> hosted_store() {
  c10d::TCPStoreOptions options;
  options.port = 0;
  options.isServer = true;
  options.waitWorkers = false;
  return c10::make_intrusive<c10d::TCPStore>("127.0.0.1", options);
}

class Launchers : public ::testing::Test {
 protected:
  Launchers() {
    CommandLine words = arguments("launch");
    words.insert(words.begin(), {"n=2", "--", PREFER_BIN_DIR "/dpo"});
    const Ran ran = run("launch", words);
    EXPECT_EQ(ran.code, 0) << ran.err;
  }
  CommandLine arguments(const std::string& output) const {
    return {"model=" + tiny_.model,
            "train=" + tiny_.pairs,
            "output=" + tiny_.dir / output,
            "steps=2",
            "batch_size=4",
            "threads=1"};
  }
  /// Runs rank 0 and rank 1, each with `all` variables and those whose value is its number.
  void expect_the_bytes_of_launch(const std::string& launcher, const Environment& all,
                                  const std::vector<std::string>& numbers) const {
    const auto variables_of = [&](const char* rank) {
      Environment variables = all;
      for (const std::string& name : numbers) variables[name] = rank;
      return variables;
    };
    Program second("dpo", arguments(launcher), variables_of("1"));
    const Ran zero = run("dpo", arguments(launcher), variables_of("0"));
    if (zero.code != 0) second.signal(SIGKILL);  // it would wait
    const Ran one = second.end();
    ASSERT_EQ(zero.code, 0) << launcher << ": " << zero.err;
    EXPECT_EQ(one.code, 0) << launcher << ": " << one.err;
    EXPECT_NE(zero.err.find("one of 2 ranks"), std::string::npos) << launcher << ": " << zero.err;
    EXPECT_EQ(one.err, "");
    EXPECT_TRUE(lasting_files(tiny_.dir / launcher, 2) == lasting_files(tiny_.dir / "launch", 2)) << launcher;
  }

  TinyRun tiny_;
};

TEST_F(Launchers, OfAllKindsLeadToTheBytesOfLaunch) {
  const std::string run_name = std::to_string(getpid());  // other tests run beside this one
  Environment torchrun = {{"WORLD_SIZE", "2"},
                          {"LOCAL_WORLD_SIZE", "2"},
                          {"MASTER_ADDR", "127.0.0.1"},
                          {"MASTER_PORT", std::to_string(free_port())},
                          {"TORCHELASTIC_USE_AGENT_STORE", "False"},
                          {"TORCHELASTIC_RESTART_COUNT", "0"}};
  const std::vector<std::string> its_numbers = {"RANK", "LOCAL_RANK"};
  expect_the_bytes_of_launch("torchrun", torchrun, its_numbers);
  const auto store = hosted_store();
  torchrun["MASTER_PORT"] = std::to_string(store->getPort());
  torchrun["TORCHELASTIC_USE_AGENT_STORE"] = "True";
  expect_the_bytes_of_launch("torchrun hosting", torchrun, its_numbers);
  expect_the_bytes_of_launch(
      "mpirun",
      {{"OMPI_COMM_WORLD_SIZE", "2"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}, {"PMIX_NAMESPACE", run_name}},
      {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK"});
  expect_the_bytes_of_launch("srun",
                             {{"SLURM_JOB_ID", run_name},
                              {"SLURM_STEP_ID", "0"},
                              {"SLURM_STEP_NUM_TASKS", "2"},
                              {"SLURM_STEP_TASKS_PER_NODE", "2"},
                              {"SLURM_STEP_NODELIST", "localhost"},
                              {"SLURM_NODEID", "0"}},
                             {"SLURM_PROCID", "SLURM_LOCALID"});
}

}  // namespace
}  // namespace prefer::testing
