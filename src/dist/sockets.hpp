// Sockets by which ranks find rank 0: listening there, and waiting until it listens.
#pragma once

#include <chrono>
#include <set>
#include <string>

namespace prefer {

/// A socket that listens at `port`, for this machine alone where `address` is one of its own loopback names,
/// and for all networks otherwise. Throws Error where it cannot.
int listen_at(const std::string& address, int port);

/// The two ends of a connection, as numbers.
struct Route {
  std::string there, here;
};
/// Tries to connect until something listens there. Throws Error after `patience`.
Route reach(const std::string& address, int port, std::chrono::seconds patience);
/// By which of its addresses this machine would send to `address`; nothing is sent. Empty where there is no
/// way.
std::string address_towards(const std::string& address);
bool is_loopback(const std::string& numeric);

/// The TCP connections that this process has, by their file descriptors.
std::set<int> connections();
/// Lets the system ask, where a connection is silent for a minute, whether the other machine is there: after
/// another minute without an answer the connection ends in an error. A process that is stopped or at work
/// has its system answer, however long.
void keep_asking(int connection);

}  // namespace prefer
