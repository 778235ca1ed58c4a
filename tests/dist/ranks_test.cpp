// Ranks over Gloo, as threads of this process: sums, texts and errors that reach every rank, and a rank that
// is gone.
#include "prefer/dist/ranks.hpp"

#include "prefer/core/error.hpp"
#include "src/dist/sockets.hpp"
#include "support/error.hpp"
#include "support/port.hpp"

#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>

namespace prefer::testing {
namespace {

/// Runs `work` on so many ranks, each a thread, and waits for all.
template <class Work>
void run_ranks(int size, Work work, int port = free_port()) {
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([=, &work] {
      work(join({.rank = rank, .size = size, .address = "127.0.0.1", .port = port}, at::kCPU));
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(Ranks, AddUpAndAgree) {
  run_ranks(3, [](std::unique_ptr<Team> team) {
    const int rank = team->rank();
    std::vector<Tensor> tensors = {at::full({5}, rank + 1.0, at::kFloat),
                                   at::full({2, 2}, int64_t{1} << rank, at::kLong),
                                   at::zeros({0}, at::kDouble)};
    team->reduce(tensors);
    EXPECT_TRUE(at::equal(tensors[0], at::full({5}, 6.0, at::kFloat)));
    EXPECT_TRUE(at::equal(tensors[1], at::full({2, 2}, 7, at::kLong)));
    EXPECT_TRUE(team->any(rank == 2));
    EXPECT_FALSE(team->any(false));
    EXPECT_EQ(team->gather(0.5 * rank), (std::vector<double>{0, 0.5, 1}));
    EXPECT_EQ(team->gather(std::string(rank, 'x') + "\xc3\xa9"),
              (std::vector<std::string>{"\xc3\xa9", "x\xc3\xa9", "xx\xc3\xa9"}));
    EXPECT_EQ(team->agree(rank == 0 ? "" : "rank " + std::to_string(rank)), "rank 1");
    EXPECT_EQ(team->agree(""), "");
    EXPECT_EQ(error_of([&] { team->on_first([] { fail("the disk is full"); }); }), "the disk is full");
    std::vector<std::function<void()>> waits;
    std::vector<Tensor> buckets;
    for (int i = 0; i < 20; ++i) {
      buckets.push_back(at::full({1000}, rank + i, at::kLong));
      waits.push_back(team->start(buckets.back()));
    }
    for (const auto& wait : waits) wait();
    for (int i = 0; i < 20; ++i) EXPECT_EQ(buckets[i].sum().item<int64_t>(), 1000 * (3 * i + 3));
  });
}

TEST(Ranks, OfARestartMeetAtTheStoreWhereThoseBeforeThemMet) {
  c10d::TCPStoreOptions options;
  options.port = 0;
  options.isServer = true;
  options.waitWorkers = false;
  const auto store = c10::make_intrusive<c10d::TCPStore>("127.0.0.1", options);  // the agent of torchrun
  for (const char* attempt : {"0", "1"}) {
    Place place = {
        .size = 2, .address = "127.0.0.1", .port = store->getPort(), .hosted = true, .attempt = attempt};
    std::thread second([place]() mutable {
      place.rank = 1;
      EXPECT_TRUE(join(place, at::kCPU)->any(true));
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // it finds what an earlier rank 0 left
    EXPECT_TRUE(join(place, at::kCPU)->any(false));
    second.join();
  }
}

int option(int connection, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  getsockopt(connection, level, name, &value, &size);
  return value;
}

/// Whether `port` is that of one of its ends.
bool ends_at(int connection, int port) {
  sockaddr_in6 address{};  // whose port lies where that of version 4 does
  auto* at = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  if (getpeername(connection, at, &size) == 0 && ntohs(address.sin6_port) == port) return true;
  size = sizeof address;
  return getsockname(connection, at, &size) == 0 && ntohs(address.sin6_port) == port;
}

TEST(Ranks, AskWhetherAMachineThatIsSilentIsStillThere) {
  const int port = free_port();
  run_ranks(
      2,
      [&](std::unique_ptr<Team> team) {
        team->barrier();
        int asking = 0;
        for (const int connection : connections()) {
          if (ends_at(connection, port)) continue;  // of the store, which nobody waits at any more
          EXPECT_EQ(option(connection, SOL_SOCKET, SO_KEEPALIVE), 1);
          EXPECT_EQ(option(connection, IPPROTO_TCP, TCP_KEEPIDLE), 60);
          ++asking;
        }
        EXPECT_GE(asking, 2);  // both ends are here
        team->barrier();
      },
      port);
}

/// What a rank of three says, in a process of its own, when the last of them is gone; 0 where it is as it
/// should be.
int lose_the_last(int rank, int port) {
  const auto team = join({.rank = rank, .size = 3, .address = "127.0.0.1", .port = port}, at::kCPU);
  team->doing("step 7");
  if (rank == 2) {
    team->any(false);  // all have joined
    _exit(0);          // as one that is killed: it closes nothing itself
  }
  const std::string said = error_of([&] {
    for (;;) team->any(false);
  });
  const bool names_itself =
      said.starts_with("rank " + std::to_string(rank) + ", step 7: another rank is gone: ");
  return names_itself && said.find('\n') == std::string::npos ? 0 : 1;
}

TEST(Ranks, SayInOneLineThatOneIsGone) {
  const int port = free_port();
  const auto begin = std::chrono::steady_clock::now();
  std::vector<pid_t> processes;
  for (int rank = 0; rank < 3; ++rank) {
    processes.push_back(fork());
    if (processes.back() == 0) _exit(lose_the_last(rank, port));
  }
  for (const pid_t process : processes) {
    int status = -1;
    waitpid(process, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

TEST(Ranks, SayThatTheyCouldNotJoinWhereNoneIsGone) {
  Place place = {.size = 2, .address = "127.0.0.1", .port = free_port(), .interface = "no-such"};
  std::thread second([place]() mutable {
    place.rank = 1;
    EXPECT_NE(error_of([&] { join(place, at::kCPU); }), "");  // rank 0, which has the store, may end first
  });
  const std::string said = error_of([&] { join(place, at::kCPU); });
  EXPECT_TRUE(said.starts_with("rank 0 could not join the other ranks: ")) << said;
  second.join();
}

TEST(Ranks, RefuseAPortThatIsTaken) {
  const TakenPort port;
  EXPECT_EQ(
      error_of([&] { join({.rank = 0, .size = 2, .address = "127.0.0.1", .port = port.number}, at::kCPU); }),
      "rank 0 could not listen at port " + std::to_string(port.number) +
          ": Address already in use; give the run another MASTER_PORT");
}

}  // namespace
}  // namespace prefer::testing
