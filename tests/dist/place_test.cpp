// What launchers' environments mean, and what is wrong with those that mean nothing.
#include "prefer/dist/place.hpp"

#include "support/error.hpp"

#include <gtest/gtest.h>

namespace prefer::testing {
namespace {

TEST(Place, OfAProcessThatNobodyLaunchedIsAlone) {
  const Place place = place_of({{"HOME", "/root"}, {"MASTER_ADDR", "node1"}});
  EXPECT_EQ(place.rank, 0);
  EXPECT_EQ(place.size, 1);
}

TEST(Place, IsWhatTorchrunSays) {
  const Place place = place_of({{"RANK", "5"},
                                {"WORLD_SIZE", "8"},
                                {"LOCAL_RANK", "1"},
                                {"LOCAL_WORLD_SIZE", "4"},
                                {"MASTER_ADDR", "node1"},
                                {"MASTER_PORT", "29400"},
                                {"TORCHELASTIC_USE_AGENT_STORE", "True"},
                                {"TORCHELASTIC_RESTART_COUNT", "2"},
                                {"GLOO_SOCKET_IFNAME", "eth1"},
                                {"SLURM_PROCID", "0"},
                                {"SLURM_NTASKS", "2"}});  // torchrun within a job of SLURM
  EXPECT_EQ(place.rank, 5);
  EXPECT_EQ(place.size, 8);
  EXPECT_EQ(place.local_rank, 1);
  EXPECT_EQ(place.local_size, 4);
  EXPECT_EQ(place.address, "node1");
  EXPECT_EQ(place.port, 29400);
  EXPECT_TRUE(place.hosted);
  EXPECT_EQ(place.attempt, "2");
  EXPECT_EQ(place.interface, "eth1");
}

TEST(Place, OfSlurmIsOnTheFirstNode) {
  const Environment job = {{"SLURM_PROCID", "3"},
                           {"SLURM_STEP_NUM_TASKS", "4"},
                           {"SLURM_LOCALID", "1"},
                           {"SLURM_JOB_ID", "123456"}};
  const auto address = [&](const std::string& nodes) {
    Environment all = job;
    all["SLURM_NODELIST"] = nodes;
    return place_of(all).address;
  };
  EXPECT_EQ(address("node[07-12,15],gpu3"), "node07");
  EXPECT_EQ(address("gpu3,node[07-12]"), "gpu3");
  EXPECT_EQ(address("a[1,2]-ib,b"), "a1-ib");
  EXPECT_EQ(address("single"), "single");
  Environment all = job;
  all["SLURM_NODELIST"] = "n1";
  const Place place = place_of(all);
  EXPECT_EQ(place.rank, 3);
  EXPECT_EQ(place.size, 4);
  EXPECT_EQ(place.local_rank, 1);
  EXPECT_FALSE(place.hosted);
  EXPECT_EQ(place.local_size, 1);
  all["SLURM_STEP_TASKS_PER_NODE"] = "2(x2),1";
  for (const auto& [node, tasks] : {std::pair{"0", 2}, {"1", 2}, {"2", 1}, {"3", 1}}) {
    all["SLURM_NODEID"] = node;
    EXPECT_EQ(place_of(all).local_size, tasks) << node;
  }
  all["SLURM_STEP_NUM_TASKS"] = "5";
  all["SLURM_NTASKS"] = "7";  // of the job, not of the step
  all["MASTER_ADDR"] = "n9";
  all["MASTER_PORT"] = "1234";
  EXPECT_EQ(place_of(all).size, 5);
  EXPECT_EQ(place_of(all).address, "n9");
  EXPECT_EQ(place_of(all).port, 1234);
}

TEST(Place, OfASlurmScriptThatStartsNoSteps) {
  const Place place = place_of({{"SLURM_PROCID", "0"},
                                {"SLURM_NTASKS", "4"},
                                {"SLURM_LOCALID", "0"},
                                {"SLURM_JOB_ID", "7"},
                                {"SLURM_NODELIST", "n[1-4]"}});
  EXPECT_EQ(place.size, 1);
  EXPECT_EQ(place.rank, 0);
}

TEST(Place, OfOpenMpiIsOnThisMachineOrWhereMasterAddrSays) {
  Environment all = {{"OMPI_COMM_WORLD_RANK", "1"},
                     {"OMPI_COMM_WORLD_SIZE", "2"},
                     {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                     {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
                     {"PMIX_NAMESPACE", "1"}};
  EXPECT_EQ(place_of(all).address, "127.0.0.1");
  EXPECT_EQ(place_of(all).local_rank, 1);
  EXPECT_EQ(place_of(all).local_size, 2);
  all["OMPI_COMM_WORLD_LOCAL_SIZE"] = "1";
  EXPECT_NE(error_of([&] { place_of(all); }).find("want MASTER_ADDR"), std::string::npos);
  all["MASTER_ADDR"] = "n1";
  EXPECT_EQ(place_of(all).address, "n1");
}

/// 20000 + SHA-256 of the run's name mod 10000, as Python's hashlib has it.
TEST(Place, HasThePortOfTheRunItselfWhereNoneIsGiven) {
  const Environment mpi = {
      {"OMPI_COMM_WORLD_RANK", "0"}, {"OMPI_COMM_WORLD_SIZE", "2"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}};
  const Environment slurm = {{"SLURM_PROCID", "0"}, {"SLURM_STEP_NUM_TASKS", "2"}, {"SLURM_NODELIST", "n1"}};
  const auto port = [](Environment all, const Environment& more) {
    for (const auto& [name, value] : more) all[name] = value;
    return place_of(all).port;
  };
  EXPECT_EQ(port(mpi, {{"PMIX_NAMESPACE", "1225261057"}, {"OMPI_MCA_ess_base_jobid", "1225261057"}}), 23738);
  EXPECT_EQ(port(mpi, {{"OMPI_MCA_ess_base_jobid", "1224802305"}}), 22816);  // the next mpirun, without PMIx
  EXPECT_EQ(port(mpi, {{"PMIX_NAMESPACE", "prterun-host-77@1"}, {"OMPI_COMM_WORLD_RANK", "1"}}), 20561);
  EXPECT_EQ(port(slurm, {{"SLURM_JOB_ID", "123456"}, {"SLURM_STEP_ID", "0"}}), 24713);
  EXPECT_EQ(port(slurm, {{"SLURM_JOB_ID", "123456"}, {"SLURM_STEP_ID", "1"}, {"SLURM_PROCID", "1"}}), 24298);
  for (const Environment& all : {mpi, slurm})
    EXPECT_EQ(port(all, {{"MASTER_PORT", "1234"}, {"PMIX_NAMESPACE", "1"}, {"SLURM_JOB_ID", "1"}}), 1234);
  EXPECT_EQ(error_of([&] { port(mpi, {}); }),
            "OMPI_COMM_WORLD_SIZE=2 wants MASTER_PORT or PMIX_NAMESPACE, to find a port by");
  EXPECT_EQ(error_of([&] { port(slurm, {}); }),
            "SLURM_STEP_NUM_TASKS=2 wants MASTER_PORT or SLURM_JOB_ID, to find a port by");
}

struct Wrong {
  const char* name;  ///< the variable that is changed
  const char* value;
  const char* said;
};

TEST(Place, IsRefusedInOneLineThatNamesTheVariable) {
  const Environment good = {
      {"RANK", "1"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "n"}, {"MASTER_PORT", "29500"}};
  EXPECT_EQ(place_of(good).rank, 1);
  for (const Wrong& wrong : {
           Wrong{"RANK", "2", "RANK=2 wants to be below WORLD_SIZE=2: ranks count from 0"},
           Wrong{"RANK", "-1", "RANK=-1: wants a whole number, 0 to "},
           Wrong{"RANK", "one", "RANK=one: wants a whole number"},
           Wrong{"RANK", "", "RANK is not set"},
           Wrong{"WORLD_SIZE", "", "WORLD_SIZE is not set"},
           Wrong{"WORLD_SIZE", "0", "WORLD_SIZE=0: wants a whole number, 1 to "},
           Wrong{"MASTER_ADDR", "", "WORLD_SIZE=2 wants MASTER_ADDR, the host of rank 0, and it is not set"},
           Wrong{"MASTER_PORT", "", "MASTER_PORT is not set"},
           Wrong{"MASTER_PORT", "70000", "MASTER_PORT=70000: wants a whole number, 1 to 65535"},
           Wrong{"LOCAL_RANK", "2", "LOCAL_RANK=2: wants a whole number, 0 to 1"},
       }) {
    Environment all = good;
    all[wrong.name] = wrong.value;
    const std::string said = error_of([&] { place_of(all); });
    EXPECT_NE(said.find(wrong.said), std::string::npos) << wrong.name << "=" << wrong.value << ": " << said;
    EXPECT_EQ(said.find('\n'), std::string::npos);
  }
  EXPECT_NE(error_of([] {
              place_of({{"SLURM_PROCID", "0"},
                        {"SLURM_STEP_NUM_TASKS", "2"},
                        {"SLURM_NODELIST", "n[1-2"},
                        {"SLURM_JOB_ID", "1"}});
            }).find("a [ is not closed"),
            std::string::npos);
  EXPECT_EQ(error_of([] {
              place_of({{"SLURM_PROCID", "0"},
                        {"SLURM_STEP_NUM_TASKS", "2"},
                        {"SLURM_NODELIST", "n1"},
                        {"SLURM_STEP_NODELIST", "n[1-2"},
                        {"SLURM_JOB_ID", "1"}});
            }),
            "SLURM_STEP_NODELIST=n[1-2: a [ is not closed");
}

TEST(Environment, IsMainsThirdArgument) {
  const char* variables[] = {"A=1", "B=x=y", "EMPTY=", nullptr};
  EXPECT_EQ(environment(variables), (Environment{{"A", "1"}, {"B", "x=y"}, {"EMPTY", ""}}));
}

}  // namespace
}  // namespace prefer::testing
