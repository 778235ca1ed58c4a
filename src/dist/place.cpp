// Reads the variables of launchers.
#include "prefer/dist/place.hpp"

#include "prefer/core/error.hpp"
#include "prefer/core/sha256.hpp"

#include <algorithm>
#include <charconv>

namespace prefer {
namespace {

class Variables {
 public:
  explicit Variables(const Environment& all) : all_(all) {}

  std::string text(const std::string& name) const {
    const auto at = all_.find(name);
    return at == all_.end() ? "" : at->second;
  }
  bool has(const std::string& name) const { return !text(name).empty(); }
  int number(const std::string& name, int low, int high) const {
    const std::string value = text(name);
    int result = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), result);
    if (value.empty()) fail(name, " is not set; ", belongs_);
    if (error != std::errc() || end != value.data() + value.size() || result < low || result > high)
      fail(name, "=", value, ": wants a whole number, ", low, " to ", high);
    return result;
  }
  int number(const std::string& name, int low, int high, int otherwise) const {
    return has(name) ? number(name, low, high) : otherwise;
  }
  /// What is said of a variable that is missing.
  void belong(std::string together) { belongs_ = std::move(together); }

 private:
  const Environment& all_;
  std::string belongs_;
};

constexpr int kMostRanks = 1 << 20;
constexpr int kLargestPort = 65535;

/// rank and size, from the variables of these names.
void read_rank(Place& place, const Variables& of, const std::string& rank, const std::string& size) {
  place.size = of.number(size, 1, kMostRanks);
  place.rank = of.number(rank, 0, kMostRanks);
  if (place.rank >= place.size)
    fail(rank, "=", place.rank, " wants to be below ", size, "=", place.size, ": ranks count from 0");
}

/// "node07" of "node[07-12,15],gpu3", which the variable `name` holds.
std::string first_host(const std::string& name, const std::string& list) {
  const std::size_t bracket = list.find('['), comma = list.find(',');
  if (bracket == std::string::npos || comma < bracket) return list.substr(0, comma);
  const std::size_t number = list.find_first_of("-,]", bracket), close = list.find(']', bracket);
  if (close == std::string::npos) fail(name, "=", list, ": a [ is not closed");
  const std::string rest = list.substr(close + 1, list.find(',', close) - close - 1);
  return list.substr(0, bracket) + list.substr(bracket + 1, number - bracket - 1) + rest;
}

/// 20000 to 29999, below those that systems hand out by themselves: the same on every rank of a run, and
/// hardly ever that of another run, as its name is another.
int port_of(const std::string& run) {
  return 20000 + static_cast<int>(std::stoul(sha256(run).substr(0, 7), nullptr, 16) % 10000);
}

Place of_torchrun(Variables of) {
  of.belong("RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT belong together, as launch and torchrun set them");
  Place place;
  read_rank(place, of, "RANK", "WORLD_SIZE");
  place.local_rank = of.number("LOCAL_RANK", 0, place.size - 1, 0);
  place.local_size = of.number("LOCAL_WORLD_SIZE", 1, place.size, 1);
  place.hosted = of.text("TORCHELASTIC_USE_AGENT_STORE") == "True";
  place.attempt = of.text("TORCHELASTIC_RESTART_COUNT");
  if (place.size == 1) return place;
  if (!of.has("MASTER_ADDR"))
    fail("WORLD_SIZE=", place.size, " wants MASTER_ADDR, the host of rank 0, and it is not set");
  place.address = of.text("MASTER_ADDR");
  place.port = of.number("MASTER_PORT", 1, kLargestPort);
  return place;
}

Place of_open_mpi(Variables of) {
  of.belong("mpirun sets it");
  Place place;
  read_rank(place, of, "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE");
  place.local_rank = of.number("OMPI_COMM_WORLD_LOCAL_RANK", 0, place.size - 1, 0);
  place.local_size = of.number("OMPI_COMM_WORLD_LOCAL_SIZE", 1, place.size, 1);
  if (place.size == 1) return place;
  const bool together = place.local_size == place.size;
  place.address = of.has("MASTER_ADDR") ? of.text("MASTER_ADDR") : together ? "127.0.0.1" : "";
  if (place.address.empty())
    fail("ranks on several machines want MASTER_ADDR, the host of rank 0: mpirun -x MASTER_ADDR=HOST");
  // Of mpirun 5 and of those before it; both mean the one mpirun that was called.
  const char* job = of.has("PMIX_NAMESPACE") ? "PMIX_NAMESPACE" : "OMPI_MCA_ess_base_jobid";
  if (!of.has("MASTER_PORT") && !of.has(job))
    fail("OMPI_COMM_WORLD_SIZE=", place.size, " wants MASTER_PORT or PMIX_NAMESPACE, to find a port by");
  place.port = of.number("MASTER_PORT", 1, kLargestPort, port_of(of.text(job)));
  return place;
}

/// Of "4(x2),3" what holds on a node: 4 on nodes 0 and 1, 3 on node 2; 1 where the list says nothing of it.
int tasks_on(const std::string& list, int node) {
  int first = 0;
  for (std::size_t at = 0; at < list.size();) {
    const std::size_t end = std::min(list.find(',', at), list.size());
    const char* stop = list.data() + end;
    int tasks = 0, nodes = 1;
    const auto [after, error] = std::from_chars(list.data() + at, stop, tasks);
    if (error != std::errc() || tasks < 1) return 1;
    if (stop - after > 2 && after[0] == '(' && after[1] == 'x') std::from_chars(after + 2, stop, nodes);
    if (node < first + nodes) return tasks;
    first += nodes;
    at = end + 1;
  }
  return 1;
}

Place of_slurm(Variables of) {
  of.belong("srun sets it");
  Place place;
  read_rank(place, of, "SLURM_PROCID", "SLURM_STEP_NUM_TASKS");
  place.local_rank = of.number("SLURM_LOCALID", 0, place.size - 1, place.rank);
  place.local_size =
      tasks_on(of.text("SLURM_STEP_TASKS_PER_NODE"), of.number("SLURM_NODEID", 0, kMostRanks, 0));
  if (place.size == 1) return place;
  const char* nodes = of.has("SLURM_STEP_NODELIST") ? "SLURM_STEP_NODELIST" : "SLURM_NODELIST";
  place.address = of.has("MASTER_ADDR") ? of.text("MASTER_ADDR") : first_host(nodes, of.text(nodes));
  if (place.address.empty())
    fail("SLURM_STEP_NUM_TASKS=", place.size, " wants MASTER_ADDR or SLURM_NODELIST");
  if (!of.has("MASTER_PORT") && !of.has("SLURM_JOB_ID"))
    fail("SLURM_STEP_NUM_TASKS=", place.size, " wants MASTER_PORT or SLURM_JOB_ID, to find a port by");
  // A job may have several steps at a time.
  const std::string step = of.text("SLURM_JOB_ID") + "." + of.text("SLURM_STEP_ID");
  place.port = of.number("MASTER_PORT", 1, kLargestPort, port_of(step));
  return place;
}

}  // namespace

Place place_of(const Environment& environment) {
  const Variables of(environment);
  Place place;
  if (of.has("RANK") || of.has("WORLD_SIZE")) {
    place = of_torchrun(of);
  } else if (of.has("OMPI_COMM_WORLD_SIZE")) {
    place = of_open_mpi(of);
  } else if (of.has("SLURM_PROCID") &&
             of.has("SLURM_STEP_NUM_TASKS")) {  // a batch script has the first alone
    place = of_slurm(of);
  }
  place.interface = of.text("GLOO_SOCKET_IFNAME");
  place.status = of.text("PREFER_STATUS");
  return place;
}

}  // namespace prefer
