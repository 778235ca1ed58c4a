// Threads, the allocator, the GEMM route and the device of a process.
#include "prefer/trainers/process.hpp"

#include "prefer/core/error.hpp"
#include "prefer/dist/ranks.hpp"
#include "prefer/ops/tensor_memory.hpp"

#include <ATen/detail/CUDAHooksInterface.h>

#include <malloc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iomanip>
#include <sstream>
#include <thread>

namespace prefer {
namespace {

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) return line.substr(std::min(line.size(), line.find(':') + 2));
  }
  return "CPU";
}

/// Memory that is given back is asked for again in the next step, page by page: keep it instead. What the
/// heap grows by, oneDNN's scratch memory for new shapes most of all, comes in huge pages: one fault, not
/// 512.
void keep_memory() {
  keep_large_tensors_together();
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, -1);
  mallopt(M_TOP_PAD, 64 << 20);
  constexpr size_t kRoom = size_t{1} << 30;
  if (void* room = std::malloc(kRoom)) {  // addresses: no page is written
    const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    const uintptr_t begin = (reinterpret_cast<uintptr_t>(room) + page - 1) / page * page;
    madvise(reinterpret_cast<void*>(begin), kRoom - page, MADV_HUGEPAGE);
    std::free(room);
  }
}

}  // namespace

void ProcessConfig::describe(Fields& f) {
  f("device", device, "where tensors live", one_of({"cpu", "cuda"}));
  f("threads", threads,
    "CPU threads; 0 takes all cores, or this rank's share of them, whatever OMP_NUM_THREADS says (torchrun "
    "sets it to 1)",
    within(0, 1024));
}

std::string warning_of_other_work(double load, int64_t threads, int64_t ranks, int64_t cores) {
  constexpr double kNoise = 0.75;
  if (threads == 1 || load < kNoise ||
      load + static_cast<double>(threads * ranks) <= static_cast<double>(cores))
    return {};
  std::ostringstream text;
  text << "other work wanted " << std::fixed << std::setprecision(1) << load
       << " cores in the last minute: where it goes on, set GOMP_SPINCOUNT=1000, or threads that wait hold "
          "the cores that those awaited want";
  return text.str();
}

Process::Process(const ProcessConfig& config, Fs& fs, const Environment& environment) : fs_(fs) {
  const Place place = place_of(environment);
  set(config, place);
  if (place.size > 1) {
    team_ = join(place, device_);
  } else {
    team_ = std::make_unique<Alone>();
  }
  const bool chosen = environment.contains("GOMP_SPINCOUNT") || environment.contains("OMP_WAIT_POLICY");
  double load = 0;  // in processes that wanted to run
  if (!team_->first() || environment.empty() || chosen || !device_.is_cpu() || getloadavg(&load, 1) != 1)
    return;
  const std::string warning =
      warning_of_other_work(load, at::get_num_threads(), place.local_size, sysconf(_SC_NPROCESSORS_ONLN));
  if (!warning.empty()) log_.warning(warning);
}

Process::Process(const ProcessConfig& config, std::unique_ptr<Team> team)
    : fs_(disk_), team_(std::move(team)) {
  set(config, Place());
}

void Process::set(const ProcessConfig& config, const Place& place) {
  const auto cores = static_cast<int64_t>(std::thread::hardware_concurrency()) / place.local_size;
  at::set_num_threads(static_cast<int>(config.threads > 0 ? config.threads : std::max<int64_t>(1, cores)));
  keep_memory();
  set_gemm_routes(default_gemm_routes());
  if (config.device != "cuda") return;
  if (!at::hasCUDA())
    fail("device=cuda was asked for, and this build or machine has no CUDA; device=cpu is there");
  const int gpus = at::detail::getCUDAHooks().deviceCount();
  const int index = gpus == 1 ? 0 : place.local_rank;  // SLURM may show each task its own GPU alone
  if (index >= gpus)
    fail("device=cuda: the local rank ", place.local_rank, " wants a GPU of its own, and this machine shows ",
         gpus);
  device_ = at::Device(at::kCUDA, static_cast<at::DeviceIndex>(index));
}

void Process::wants_one_rank(const std::string& program) const {
  if (team_->size() > 1)
    fail(program, " is one process, not ", team_->size(),
         " ranks: RANK and WORLD_SIZE, or a launcher, make it so");
}

std::string Process::description() const {
  return device_.str() + " (" + cpu_name() + ", " + instruction_sets() + ", " +
         std::to_string(at::get_num_threads()) + (at::get_num_threads() == 1 ? " thread" : " threads") +
         (team_->size() > 1 ? ", one of " + std::to_string(team_->size()) + " ranks" : "") +
         "), products: " + gemm_routes().name();
}

void Process::say_skipped(const std::string& path, const Skipped& skipped) const {
  if (const std::string text = skipped.text(); !text.empty()) say(path + ": " + text);
}

void Process::say_broken(const InvarianceReport& products) const {
  for (const std::string& broken : products.broken) say("on this CPU " + broken);
}

double Process::sum_bound(const InvarianceReport& products, at::ScalarType dtype, int64_t tokens) const {
  if (device_.is_cpu() && products.rows) return 0;
  // A token's differ by 0.04 on average, or by up to 2e-5.
  const double of_128 = dtype == at::kBFloat16 ? 2.0 : 1e-2;
  return of_128 * std::max(1.0, static_cast<double>(tokens) / 128);
}

Rule dtype_rule() { return one_of({"float32", "bfloat16", "float64", "fp32", "bf16"}); }

int64_t peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * int64_t{1024};
}

}  // namespace prefer
