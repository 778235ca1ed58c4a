// A least-squares problem with keyed data: small enough to train hundreds of times in a test.
#pragma once

#include "prefer/core/random.hpp"
#include "prefer/train/fit.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <barrier>
#include <cstring>
#include <functional>
#include <optional>
#include <thread>

namespace prefer::testing {

inline constexpr int64_t kWidth = 3;

/// Records with keyed features; a step is `batch` records, cut into slots of `slot` records.
struct TinySource : Source {
  uint64_t seed = 5;
  int64_t records = 23;
  int64_t batch_size = 8;
  int64_t slot = 3;
  bool reversed = false;

  Plan plan(int64_t step) override {
    Plan plan{.step = step, .slots = {}};
    for (int64_t begin = 0; begin < batch_size; begin += slot) {
      Slot part{.index = static_cast<int64_t>(plan.slots.size()), .tokens = 0, .records = {}, .counts = {}};
      for (int64_t i = begin; i < std::min(begin + slot, batch_size); ++i) {
        part.records.push_back(static_cast<int64_t>(record_at(
            seed, static_cast<uint64_t>((step - 1) * batch_size + i), static_cast<uint64_t>(records))));
      }
      part.tokens = static_cast<int64_t>(part.records.size()) * 10;
      part.counts["records"] = static_cast<double>(part.records.size());
      plan.slots.push_back(part);
    }
    if (reversed) std::reverse(plan.slots.begin(), plan.slots.end());
    return plan;
  }

  Batch batch(int64_t, const Slot& part) override {
    std::vector<double> x, y;
    std::vector<int64_t> group;
    for (const int64_t record : part.records) {
      group.push_back(static_cast<int64_t>(group.size()));
      double target = 0.25;
      for (uint64_t i = 0; i < kWidth; ++i) {
        const double feature =
            uniform({.seed = seed, .record = static_cast<uint64_t>(record), .position = i}) - 0.5;
        x.push_back(feature);
        target += feature * static_cast<double>(i + 1);
      }
      y.push_back(target);
    }
    Batch batch;
    batch.group = tensor_of(group, at::kLong);
    batch.set("x", Axis::sequences, tensor_of(x, at::kDouble).reshape({-1, kWidth}));  // [S, width]
    batch.set("y", Axis::sequences, tensor_of(y, at::kDouble));                        // [S]
    return batch;
  }
};

/// Mean squared error of x . (sum of all weights), one weight vector a type; counts the steps that passed.
struct TinyObjective : Objective {
  std::vector<Parameter> weights;
  Tensor passed_steps = at::zeros({1}, at::kLong);
  std::optional<Identity> identity;
  std::function<void(Tensor& loss)> spoil;  ///< may replace the sum of a slot's squared errors

  explicit TinyObjective(const std::vector<at::ScalarType>& types = {at::kDouble}) {
    for (const at::ScalarType type : types) {
      Tensor weight = at::full({kWidth, 1}, 0.125, type);
      weight.requires_grad_(true);
      weights.push_back({std::string("w_") + c10::toString(type), weight});
    }
  }
  std::vector<ParameterGroup> parameters() const override { return {{"model", weights, 1}}; }
  Loss operator()(const Batch& batch, const NamedTensors&) override {
    Tensor sum = at::zeros({kWidth, 1}, at::kDouble);
    for (const Parameter& weight : weights) sum = sum + weight.value.to(at::kDouble);
    const Tensor error = batch.column("x").mm(sum).squeeze(1) - batch.column("y");  // [S]
    Tensor squares = (error * error).sum();
    if (spoil) spoil(squares);
    Loss loss;
    loss.terms.push_back({"squares", squares, "records", 1});
    loss.metrics.add("error", error.detach().abs().sum(), static_cast<double>(error.size(0)));
    if (identity) loss.identities.push_back(*identity);
    return loss;
  }
  NamedTensors state() const override { return {{"passed", passed_steps}}; }
  void restore(const NamedTensors& saved) override { passed_steps = saved.at("passed").clone(); }
  void passed(int64_t) override { passed_steps += 1; }
};

inline FitConfig tiny_config(int64_t steps) {
  FitConfig config;
  config.steps = steps;
  config.optimizer.learning_rate = 0.01;
  config.schedule.lr_scheduler_type = "cosine";
  config.schedule.warmup_steps = 2;
  return config;
}

/// Ranks that are threads of one process.
class Threads {
 public:
  explicit Threads(int size)
      : sync_(size), tensors_(static_cast<std::size_t>(size)), flags_(tensors_.size()) {}

  /// Runs `work(team)` on every rank and waits for all.
  template <class Work>
  void run(Work work) {
    std::vector<std::thread> threads;
    for (int rank = 0; rank < static_cast<int>(tensors_.size()); ++rank) {
      threads.emplace_back([this, rank, &work] {
        Rank team(*this, rank);
        work(team);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

 private:
  struct Rank final : Team {
    Rank(Threads& all_, int rank_) : all(all_), number(rank_) {}
    int rank() const override { return number; }
    int size() const override { return static_cast<int>(all.tensors_.size()); }
    void barrier() override { all.sync_.arrive_and_wait(); }
    bool any(bool mine) override {
      all.flags_[static_cast<std::size_t>(number)] = mine;
      barrier();
      const bool result = std::find(all.flags_.begin(), all.flags_.end(), true) != all.flags_.end();
      barrier();
      return result;
    }
    void reduce(std::vector<Tensor>& mine) override {
      all.tensors_[static_cast<std::size_t>(number)] = &mine;
      barrier();
      std::vector<Tensor> sums;
      for (std::size_t i = 0; i < mine.size(); ++i) {
        Tensor sum = (*all.tensors_[0])[i].clone();
        for (std::size_t r = 1; r < all.tensors_.size(); ++r) sum += (*all.tensors_[r])[i];
        sums.push_back(sum);
      }
      barrier();
      for (std::size_t i = 0; i < mine.size(); ++i) mine[i].copy_(sums[i]);
      barrier();
    }
    Threads& all;
    int number;
  };

  std::barrier<> sync_;
  std::vector<std::vector<Tensor>*> tensors_;
  std::vector<char> flags_;
};

/// Whether two states have the same names and the same bits.
inline ::testing::AssertionResult same_bits(const NamedTensors& a, const NamedTensors& b) {
  if (a.size() != b.size())
    return ::testing::AssertionFailure() << a.size() << " tensors against " << b.size();
  for (const auto& [name, tensor] : a) {
    const auto found = b.find(name);
    if (found == b.end()) return ::testing::AssertionFailure() << name << " is missing";
    const Tensor x = tensor.detach().contiguous(), y = found->second.detach().contiguous();
    if (x.sizes() != y.sizes() || x.scalar_type() != y.scalar_type() ||
        std::memcmp(x.const_data_ptr(), y.const_data_ptr(), x.nbytes()) != 0) {
      return ::testing::AssertionFailure() << name << " differs";
    }
  }
  return ::testing::AssertionSuccess();
}

/// A copy that later steps do not change.
inline NamedTensors copied(const NamedTensors& state) {
  NamedTensors result;
  for (const auto& [name, tensor] : state) result[name] = tensor.detach().clone();
  return result;
}

}  // namespace prefer::testing
