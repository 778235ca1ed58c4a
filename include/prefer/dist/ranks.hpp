// A team whose ranks are processes, on one machine or on several.
#pragma once

#include "prefer/dist/place.hpp"
#include "prefer/dist/team.hpp"

#include <memory>

namespace prefer {

/// Joins the team at `place`: finds the other ranks through the store at place.address, and connects with
/// them by Gloo for tensors on the CPU, and by NCCL besides where `device` is a GPU. Returns when all are
/// there; throws Error, one line, where the port is taken, rank 0 is not to be reached, or a rank does not
/// come within five minutes. Its collectives throw where a rank is gone, and, but for `any`, where one is
/// late by half an hour. On a GPU the wait for a sum only queues one: there a lost rank shows at the next
/// collective on the CPU (`any`); where the host waits for the device before that, NCCL's watchdog ends the
/// process, at the latest after half an hour. A machine that vanishes is noticed two minutes after it last
/// answered; where data were on their way to it, when the system gives them up, after a quarter of an hour by
/// default.
std::unique_ptr<Team> join(const Place& place, at::Device device);

}  // namespace prefer
