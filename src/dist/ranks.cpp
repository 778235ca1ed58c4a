// Ranks over c10d: TCPStore to find each other, Gloo and NCCL to add up. The one file that sees Gloo's
// headers.
#define USE_C10D_GLOO
#include "prefer/dist/ranks.hpp"

#include "prefer/core/error.hpp"
#include "src/dist/backend.hpp"
#include "src/dist/sockets.hpp"

#include <c10/util/Exception.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <new>
#include <optional>
#include <string_view>

namespace prefer {
namespace {

using namespace std::chrono_literals;
using Store = c10::intrusive_ptr<c10d::Store>;
using Backend = c10::intrusive_ptr<c10d::Backend>;

constexpr auto kToMeet = std::chrono::seconds(300);
constexpr auto kLate = std::chrono::milliseconds(30min);
constexpr auto kAtWork = std::chrono::milliseconds(24h * 30);

/// The first line of what a library says, without the place in its sources.
std::string words_of(const std::exception& error) {
  std::string text = error.what();
  text.erase(std::min(text.size(), text.find('\n')));
  if (text.starts_with('[')) text.erase(0, std::min(text.size(), text.find("] ") + 2));
  while (text.ends_with('.') || text.ends_with(' ')) text.pop_back();
  return text;
}

Store open_store(const Place& place, const Route& route, std::optional<int> listening) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<std::uint16_t>(place.port);
  options.isServer = listening.has_value();
  options.masterListenFd = listening;
  options.waitWorkers = false;
  options.timeout = kToMeet;
  Store store = c10::make_intrusive<c10d::TCPStore>(route.there, options);
  return c10::make_intrusive<c10d::PrefixStore>("prefer/" + place.attempt, store);
}

std::string value_of(const Store& store, const std::string& key) {
  const std::vector<uint8_t> bytes = store->get(key);
  return {bytes.begin(), bytes.end()};
}

/// Says by which address this rank is reached, and waits for what the others say. [size]
std::vector<std::string> exchange_addresses(const Store& store, const Place& place, const std::string& mine) {
  store->set("address/" + std::to_string(place.rank), std::vector<uint8_t>(mine.begin(), mine.end()));
  std::vector<std::string> all;
  for (int rank = 0; rank < place.size; ++rank) {
    try {
      all.push_back(value_of(store, "address/" + std::to_string(rank)));
    } catch (const std::exception& error) {
      fail("rank ", place.rank, " waited for rank ", rank, " of ", place.size,
           ", which did not come: ", words_of(error));
    }
  }
  return all;
}

std::shared_ptr<gloo::transport::Device> network(const Place& place, std::string mine,
                                                 const std::vector<std::string>& all) {
  if (!place.interface.empty()) return c10d::ProcessGroupGloo::createDeviceForInterface(place.interface);
  // Rank 0 may know itself by a name that means, on its machine, that machine alone.
  for (const std::string& other : all)
    if (is_loopback(mine) && !is_loopback(other)) mine = address_towards(other);
  return c10d::ProcessGroupGloo::createDeviceForHostname(mine);
}

/// The part of launch's status file that is this rank's.
class Status {
 public:
  Status(const std::string& path, int rank) {
    // What stands between launch and this process may have closed the file, or put another in its place: then
    // nothing is said.
    char target[64] = {};
    if (path.empty() || readlink(path.c_str(), target, sizeof target - 1) < 0) return;
    const std::string_view made = target;
    if (!made.starts_with("/memfd:") || made.substr(7, std::strlen(kStatusName)) != kStatusName) return;
    const int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
    const auto size = static_cast<std::size_t>(rank + 1) * kStatusBytes;
    if (file < 0) return;
    void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (at == MAP_FAILED) return;
    text_ = static_cast<char*>(at) + size - kStatusBytes;
  }
  void write(const std::string& text) {  // kept mapped: it is read after the process has ended
    if (text_ != nullptr) std::strncpy(text_, text.c_str(), kStatusBytes - 1);
  }

 private:
  char* text_ = nullptr;
};

class Ranks final : public Team {
 public:
  Ranks(const Place& place, at::Device device) : place_(place), status_(place.status, place.rank) {
    doing("joining the other ranks");
    std::optional<int> listening;
    if (place_.rank == 0 && !place_.hosted) listening = listen_at(place_.address, place_.port);
    const Route route = reach(place_.address, place_.port, kToMeet);
    try {
      connect(open_store(place_, route, listening), route.here, device);
    } catch (const Error&) {
      throw;
    } catch (const std::exception& error) {
      fail("rank ", place_.rank, " could not join the other ranks: ", words_of(error));
    }
  }
  ~Ranks() override {
    if (!broken_ && std::uncaught_exceptions() == 0) return;
    // What still waits for other ranks would be waited for here; the process is about to end.
    cpu_.release();
    gpu_.release();
  }
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  int rank() const override { return place_.rank; }
  int size() const override { return place_.size; }
  void reduce(std::vector<Tensor>& tensors) override {
    std::vector<std::function<void()>> waits;
    for (const Tensor& tensor : tensors) {
      if (!tensor.is_contiguous()) fail("a sum over ranks wants contiguous tensors");
      waits.push_back(start(tensor));
    }
    for (const auto& wait : waits) wait();
  }
  std::function<void()> start(Tensor tensor) override {
    if (tensor.numel() == 0) return [] {};
    return [this, work = begin(std::move(tensor), kLate)] { finish(work); };
  }
  bool any(bool mine) override {
    const Tensor count = at::full({1}, mine ? 1 : 0, at::kLong);
    finish(begin(count, kAtWork));
    return count.item<int64_t>() > 0;
  }
  void barrier() override { any(false); }
  void doing(const std::string& what) override {
    doing_ = what;
    status_.write(what);
  }

 private:
  using Work = c10::intrusive_ptr<c10d::Work>;

  void connect(const Store& store, const std::string& here, at::Device device) {
    const auto all = exchange_addresses(store, place_, here);
    auto options = c10d::ProcessGroupGloo::Options::create(kLate);
    options->devices = {network(place_, here, all)};
    const std::set<int> before = connections();
    cpu_ = c10::make_intrusive<c10d::ProcessGroupGloo>(c10::make_intrusive<c10d::PrefixStore>("gloo", store),
                                                       place_.rank, place_.size, std::move(options));
    for (const int made : connections())  // Gloo hands out none of its own
      if (!before.contains(made)) keep_asking(made);
    if (device.is_cuda())
      gpu_ = nccl_backend(c10::make_intrusive<c10d::PrefixStore>("nccl", store), place_.rank, place_.size,
                          kLate);
  }
  Work begin(Tensor tensor, std::chrono::milliseconds patience) {
    std::vector<Tensor> one = {std::move(tensor)};
    c10d::AllreduceOptions options;
    options.timeout = patience;
    try {
      return (one.front().is_cuda() ? gpu_ : cpu_)->allreduce(one, options);
    } catch (const std::exception& error) {
      lost(error);
    }
  }
  void finish(const Work& work) {
    try {
      work->wait();
    } catch (const std::exception& error) {
      lost(error);
    }
  }
  [[noreturn]] void lost(const std::exception& error) {
    broken_ = true;
    // Gloo throws errors of its own, NCCL and the store DistErrors: another of LibTorch's is about this rank.
    const bool of_torch = dynamic_cast<const c10::Error*>(&error) != nullptr &&
                          dynamic_cast<const c10::DistError*>(&error) == nullptr;
    const bool own = of_torch || dynamic_cast<const Error*>(&error) != nullptr ||
                     dynamic_cast<const std::bad_alloc*>(&error) != nullptr;
    fail("rank ", place_.rank, ", ", doing_,
         own ? ": a sum over ranks failed: " : ": another rank is gone: ", words_of(error));
  }

  Place place_;
  Status status_;
  std::string doing_;
  bool broken_ = false;
  Backend cpu_, gpu_;
};

}  // namespace

std::unique_ptr<Team> join(const Place& place, at::Device device) {
  return std::make_unique<Ranks>(place, device);
}

}  // namespace prefer
