// Where a process stands among the ranks of a run, as the environment of its launcher has it.
#pragma once

#include "prefer/core/program.hpp"

#include <string>

namespace prefer {

struct Place {
  int rank = 0;
  int size = 1;
  int local_rank = 0;        ///< among the ranks of its machine
  int local_size = 1;        ///< ranks that share the machine's cores, unless the launcher has dealt them
  std::string address = {};  ///< of the machine of rank 0; empty for a size of 1
  int port = 0;              ///< where the ranks find each other there
  bool hosted = false;       ///< the launcher listens at the port (torchrun); otherwise rank 0 does
  std::string attempt = {};  ///< which of a hosting launcher's restarts this is
  /// The network to use (GLOO_SOCKET_IFNAME); empty: the one that leads to rank 0.
  std::string interface = {};
  std::string status = {};  ///< the file in which `launch` reads what each rank is at; empty: none
};

/// Bytes of the status file that are a rank's.
inline constexpr int kStatusBytes = 64;
inline constexpr const char* kStatusName = "prefer-status";  ///< of launch's memfd

/// The place that torchrun and `launch` give (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT), or
/// Open MPI (OMPI_COMM_WORLD_*), or SLURM's srun (SLURM_PROCID, SLURM_STEP_NUM_TASKS, SLURM_LOCALID, the
/// first of SLURM_STEP_NODELIST or SLURM_NODELIST); a rank on its own where none of them speaks, as in a
/// batch script of SLURM that starts no srun. Where Open MPI or SLURM is told no MASTER_PORT, the port
/// follows from what names the run: the job that mpirun makes of itself (PMIX_NAMESPACE), or job and step
/// (SLURM_JOB_ID, SLURM_STEP_ID). Throws Error for what is missing, no number, or out of range.
Place place_of(const Environment& environment);

}  // namespace prefer
