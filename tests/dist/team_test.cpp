// Slots are dealt alike on every rank, each to one, evenly by tokens.
#include "prefer/dist/team.hpp"

#include <gtest/gtest.h>

#include <random>

namespace prefer {
namespace {

class Member final : public Team {
 public:
  Member(int rank, int size) : rank_(rank), size_(size) {}
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void reduce(std::vector<Tensor>&) override {}
  bool any(bool mine) override { return mine; }
  void barrier() override {}

 private:
  int rank_, size_;
};

TEST(Team, DealsEachSlotOnceAndEvenly) {
  std::mt19937 random(3);
  for (const int size : {1, 2, 4, 7}) {
    std::vector<int64_t> tokens(23);
    int64_t largest = 0;
    for (auto& t : tokens)
      largest = std::max<int64_t>(largest, t = 1 + static_cast<int64_t>(random() % 1000));
    std::vector<int> owners(tokens.size(), 0);
    std::vector<int64_t> load;
    for (int rank = 0; rank < size; ++rank) {
      load.push_back(0);
      for (const int64_t slot : Member(rank, size).mine(tokens)) {
        ++owners[slot];
        load.back() += tokens[slot];
      }
    }
    EXPECT_EQ(owners, std::vector<int>(tokens.size(), 1));
    // Longest first, each to the least loaded: no rank is more than one slot ahead of another.
    EXPECT_LE(*std::ranges::max_element(load) - *std::ranges::min_element(load), largest);
  }
}

TEST(Team, OfOneHasAllSlotsInOrder) {
  const std::vector<int64_t> tokens = {3, 9, 1};
  EXPECT_EQ(Alone().mine(tokens), (std::vector<int64_t>{0, 1, 2}));
}

}  // namespace
}  // namespace prefer
