// Speed of rope's CPU twin beside the copy bandwidth of the same run: rope [rows] [heads] [dim].
#include "kernels/rope/rope.hpp"

#include "support.hpp"

namespace {

using namespace prefer::kernels;
using prefer::benchmark::measure;
using prefer::benchmark::Memory;

constexpr std::int64_t kPositions = 2048;

template <class T>
void run(const std::string& type, const rope::Forward<T>& shape, double copy) {
  const std::int64_t width = shape.heads * shape.dim;
  Memory<T> x(shape.rows * width), y(shape.rows * width);
  prefer::benchmark::fill(x, 1);
  std::vector<std::int64_t> position;
  for (std::int64_t i = 0; i < shape.rows; ++i) position.push_back(i % kPositions);
  const auto tables = rope::make_tables<float>(rope::inverse_frequencies({.dim = shape.dim}), kPositions);
  rope::Forward<T> args = shape;
  args.x = x.data(), args.y = y.data(), args.x_stride = args.y_stride = width;
  args.position = position.data(), args.positions = kPositions;
  args.cos = tables.cos.data(), args.sin = tables.sin.data();
  const double bytes = 2 * static_cast<double>(shape.rows * width) * sizeof(T);
  prefer::benchmark::for_each_isa([&](Isa isa) {
    args.isa = isa;
    measure(type + " " + name(isa), bytes, copy, [&] { rope::cpu::forward(args); });
  });
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t rows = argc > 1 ? std::atoll(argv[1]) : 65536,
                     heads = argc > 2 ? std::atoll(argv[2]) : 9, dim = argc > 3 ? std::atoll(argv[3]) : 64;
  const double copy = prefer::benchmark::copy_bandwidth();
  std::printf("limit: copy %.1f GB/s; [%lld, %lld, %lld]\n", copy / 1e9, static_cast<long long>(rows),
              static_cast<long long>(heads), static_cast<long long>(dim));
  run<float>("float", {.rows = rows, .heads = heads, .dim = dim}, copy);
  run<bf16>("bf16", {.rows = rows, .heads = heads, .dim = dim}, copy);
}
