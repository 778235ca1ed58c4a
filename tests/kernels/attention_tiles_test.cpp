// Attention's CUDA algorithm on the CPU: the device's source, run by one thread and by a team that meets at
// its barriers.
#include "kernels/attention/tiles.hpp"
#include "tests/kernels/attention_cases.hpp"

#include <gtest/gtest.h>

#include <barrier>
#include <cmath>
#include <thread>

namespace prefer::kernels::attention {
namespace {

/// One of `count` threads that share a tile.
struct Member {
  int index, count;
  std::barrier<>* barrier;
  int rank() const { return index; }
  int size() const { return count; }
  void sync() const { barrier->arrive_and_wait(); }
};

/// Calls body(memory, member) on each of `threads` threads, with one memory for all of them.
template <class Body>
void as_team(int threads, std::size_t bytes, Body body) {
  std::vector<std::int64_t> memory((bytes + 7) / 8, -1);  // NaN in every float
  std::barrier barrier(threads);
  std::vector<std::thread> team;
  for (int t = 0; t < threads; ++t) {
    team.emplace_back([&, t] { body(memory.data(), Member{t, threads, &barrier}); });
  }
  for (std::thread& member : team) member.join();
}

template <class T>
void forward(const Forward<T>& args, int threads) {
  const std::vector<tiles::Tile> all = tiles::tiles_of(args);
  const std::size_t bytes =
      tiles::shared_bytes(args.dim, tiles::kForwardMatrices, tiles::kForwardSquares, tiles::kForwardColumns);
  as_team(threads, bytes, [&](std::int64_t* memory, const Member& member) {
    const tiles::Shared shared(memory, tiles::side_for(args.dim), args.dim);
    for (const tiles::Tile& tile : all) {
      for (std::int64_t kv = 0; kv < args.kv_heads; ++kv) {
        tiles::forward_tile(args, static_cast<float>(scale_of(args)), tile, kv, shared, member);
        member.sync();
      }
    }
  });
}

template <class T>
void backward(const Backward<T>& args, int threads) {
  const std::vector<tiles::Tile> all = tiles::tiles_of(args);
  const tiles::KeyParts keys = tiles::key_parts(args);
  const float scale = static_cast<float>(scale_of(args));
  std::vector<float> dots;
  for (std::int64_t n = 0; n < args.query_rows * args.heads; ++n) {
    dots.push_back(tiles::dot_of(args, n / args.heads, n % args.heads));
  }
  const std::size_t bytes = std::max(
      tiles::shared_bytes(args.dim, tiles::kQueryMatrices, tiles::kQuerySquares, tiles::kQueryColumns),
      tiles::shared_bytes(args.dim, tiles::kKeyMatrices, tiles::kKeySquares, tiles::kKeyColumns));
  as_team(threads, bytes, [&](std::int64_t* memory, const Member& member) {
    const int side = tiles::side_for(args.dim);
    const tiles::Shared shared(memory, side, args.dim);
    for (std::int64_t kv = 0; kv < args.kv_heads; ++kv) {
      for (const tiles::Tile& tile : all) {
        tiles::query_gradient(args, scale, dots.data(), tile, kv, shared, member);
        member.sync();
      }
      for (std::size_t b = 0; b + 1 < keys.begin.size(); ++b) {
        tiles::key_gradient(args, scale, dots.data(), static_cast<std::int64_t>(b) * side,
                            keys.parts.data() + keys.begin[b], keys.begin[b + 1] - keys.begin[b], kv, shared,
                            member);
        member.sync();
      }
    }
  });
}

class AttentionTiles : public ::testing::TestWithParam<int> {};

TEST_P(AttentionTiles, ForwardAndBackwardEqualTheReference) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    const Plan plan = with_cut_spans(plan_of(c.forest), 21);
    Problem<float> got(plan.tokens, c.sizes, 20);
    Problem<double> want = converted<double>(got);
    reference::forward(want.forward(plan));
    reference::backward(want.backward(plan));
    forward(got.forward(plan), GetParam());
    backward(got.backward(plan), GetParam());
    EXPECT_LE(worst(got.out, want.out), tolerance(got));
    EXPECT_LE(worst(got.lse, want.lse), tolerance(got));
    EXPECT_LE(worst(got.gradient, want.gradient), tolerance(got));
  }
}

TEST_P(AttentionTiles, InBf16RoundTheReferenceOnce) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    const Plan plan = plan_of(c.forest);
    const Problem<float> source(plan.tokens, c.sizes, 22);
    Problem<bf16> got = converted<bf16>(source);
    reference::forward(got.forward(plan));
    Problem<double> want = converted<double>(got);
    reference::forward(want.forward(plan));
    const std::vector<double> exact = want.out;
    want.out = converted<double>(got.out);
    reference::backward(want.backward(plan));
    backward(got.backward(plan), GetParam());
    forward(got.forward(plan), GetParam());
    EXPECT_LE(worst(got.out, exact, std::ldexp(1.0, -8)), tolerance(source));
    EXPECT_LE(worst(got.lse, want.lse), tolerance(source));
    EXPECT_LE(worst(got.gradient, want.gradient, std::ldexp(1.0, -8)), tolerance(source));
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, AttentionTiles, ::testing::Values(1, 3),
                         [](const auto& threads) { return std::to_string(threads.param); });

TEST(AttentionTilesOnly, FitIntoTheSharedMemoryOfEveryDeviceSinceAmpere) {
  for (const std::int64_t dim : {1, 64, 80, 96, 97, 128, 256}) {
    EXPECT_LE(tiles::shared_bytes(dim, tiles::kKeyMatrices, tiles::kKeySquares, tiles::kKeyColumns),
              99 * 1024);
    EXPECT_LE(tiles::shared_bytes(dim, tiles::kQueryMatrices, tiles::kQuerySquares, tiles::kQueryColumns),
              99 * 1024);
    EXPECT_LE(
        tiles::shared_bytes(dim, tiles::kForwardMatrices, tiles::kForwardSquares, tiles::kForwardColumns),
        99 * 1024);
  }
}

}  // namespace
}  // namespace prefer::kernels::attention
