// POSIX sockets, as far as ranks need them to find each other.
#include "src/dist/sockets.hpp"

#include "prefer/core/error.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <thread>
#include <utility>

namespace prefer {
namespace {

class Socket {
 public:
  Socket(int family, int type) : number_(socket(family, type | SOCK_CLOEXEC, 0)) {}
  ~Socket() {
    if (number_ >= 0) close(number_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int get() const { return number_; }
  int release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

/// Null where the name is not known; `passive`: an address of one's own, any for an empty name.
Addresses resolve(const std::string& name, int port, int type, bool passive = false) {
  addrinfo wanted{};
  wanted.ai_family = AF_UNSPEC;
  wanted.ai_socktype = type;
  wanted.ai_flags = passive ? AI_PASSIVE : 0;
  addrinfo* found = nullptr;
  const std::string service = std::to_string(port);
  if (getaddrinfo(name.empty() ? nullptr : name.c_str(), service.c_str(), &wanted, &found) != 0)
    found = nullptr;
  return {found, &freeaddrinfo};
}

std::string numeric(const sockaddr* address, socklen_t size) {
  char text[NI_MAXHOST];
  return getnameinfo(address, size, text, sizeof text, nullptr, 0, NI_NUMERICHOST) == 0 ? text : "";
}

std::string own_end(const Socket& socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) return "";
  return numeric(reinterpret_cast<sockaddr*>(&address), size);
}

bool means_this_machine_alone(const std::string& name) {
  const Addresses found = resolve(name, 0, SOCK_STREAM);
  return found && (name == "localhost" || is_loopback(name));
}

}  // namespace

bool is_loopback(const std::string& numeric) { return numeric == "::1" || numeric.starts_with("127."); }

int listen_at(const std::string& address, int port) {
  const Addresses found = resolve(means_this_machine_alone(address) ? address : "", port, SOCK_STREAM, true);
  int error = EADDRNOTAVAIL;
  for (int family : {AF_INET6, AF_INET}) {  // one of version 6 takes version 4 in
    for (const addrinfo* at = found.get(); at != nullptr; at = at->ai_next) {
      if (at->ai_family != family) continue;
      Socket socket(family, SOCK_STREAM);
      const int on = 1, off = 0;
      setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
      if (family == AF_INET6) setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
      if (bind(socket.get(), at->ai_addr, at->ai_addrlen) == 0 && listen(socket.get(), SOMAXCONN) == 0)
        return socket.release();
      error = errno;
      if (error == EADDRINUSE) break;
    }
    if (error == EADDRINUSE) break;
  }
  fail("rank 0 could not listen at port ", port, ": ", std::strerror(error),
       error == EADDRINUSE ? "; give the run another MASTER_PORT" : "");
}

Route reach(const std::string& address, int port, std::chrono::seconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  std::string why = "its name is not known";
  for (;;) {
    const Addresses found = resolve(address, port, SOCK_STREAM);
    for (const addrinfo* at = found.get(); at != nullptr; at = at->ai_next) {
      const Socket socket(at->ai_family, SOCK_STREAM);
      if (connect(socket.get(), at->ai_addr, at->ai_addrlen) == 0)
        return {numeric(at->ai_addr, at->ai_addrlen), own_end(socket)};
      why = std::strerror(errno);
    }
    if (std::chrono::steady_clock::now() > end)
      fail("rank 0 was not to be reached at ", address, ":", port, " (MASTER_ADDR, MASTER_PORT) for ",
           patience.count(), " s: ", why);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

std::string address_towards(const std::string& address) {
  const Addresses found = resolve(address, 9, SOCK_DGRAM);
  if (!found) return "";
  const Socket socket(found->ai_family, SOCK_DGRAM);
  if (connect(socket.get(), found->ai_addr, found->ai_addrlen) != 0) return "";
  return own_end(socket);
}

std::set<int> connections() {
  std::set<int> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    const int number = std::stoi(entry.path().filename());
    sockaddr_storage other{};
    socklen_t size = sizeof other;
    if (getpeername(number, reinterpret_cast<sockaddr*>(&other), &size) != 0)
      continue;  // no socket, or alone
    int protocol = 0;
    size = sizeof protocol;
    getsockopt(number, SOL_SOCKET, SO_PROTOCOL, &protocol, &size);
    if (protocol == IPPROTO_TCP) found.insert(number);
  }
  return found;
}

void keep_asking(int connection) {
  const int on = 1, silent = 60, between = 10, times = 6;  // seconds
  setsockopt(connection, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(connection, IPPROTO_TCP, TCP_KEEPIDLE, &silent, sizeof silent);
  setsockopt(connection, IPPROTO_TCP, TCP_KEEPINTVL, &between, sizeof between);
  setsockopt(connection, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof times);
}

}  // namespace prefer
