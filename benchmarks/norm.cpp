// Speed of norm's CPU twin beside the copy bandwidth of the same run: norm [rows] [width].
#include "kernels/norm/norm.hpp"

#include "support.hpp"

#include <vector>

namespace {

using namespace prefer::kernels;
using prefer::benchmark::measure;
using prefer::benchmark::Memory;

template <class T>
void run(const std::string& type, std::int64_t rows, std::int64_t width, double copy) {
  Memory<T> x(rows * width), residual(rows * width), sum(rows * width), y(rows * width), weight(width);
  for (Memory<T>* memory : {&x, &residual, &weight}) prefer::benchmark::fill(*memory, 1);
  std::vector<float> rstd(static_cast<std::size_t>(rows)), dweight(static_cast<std::size_t>(width));
  const double bytes = static_cast<double>(rows * width) * sizeof(T);
  prefer::benchmark::for_each_isa([&](Isa isa) {
    norm::Forward<T> forward{
        .x = x.data(), .weight = weight.data(), .rows = rows, .width = width, .x_stride = width};
    forward.y = y.data(), forward.rstd = rstd.data(), forward.isa = isa;
    const std::string name = type + " " + prefer::kernels::name(isa);
    const auto forwards = [&] { norm::cpu::forward(forward); };
    measure(name + " forward", 2 * bytes, copy, forwards);
    forward.residual = residual.data(), forward.sum = sum.data();
    measure(name + " forward with residual", 4 * bytes, copy, forwards);
    norm::Backward<T> backward{.x = sum.data(), .weight = weight.data(), .rstd = rstd.data(), .dy = x.data()};
    backward.rows = rows, backward.width = backward.x_stride = width;
    backward.dx = y.data(), backward.dweight = dweight.data(), backward.isa = isa;
    const auto backwards = [&] { norm::cpu::backward(backward); };
    measure(name + " backward", 3 * bytes, copy, backwards);
    backward.dsum = residual.data();
    measure(name + " backward with residual", 4 * bytes, copy, backwards);
  });
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t rows = argc > 1 ? std::atoll(argv[1]) : 65536,
                     width = argc > 2 ? std::atoll(argv[2]) : 576;
  const double copy = prefer::benchmark::copy_bandwidth();
  std::printf("limit: copy %.1f GB/s; [%lld, %lld]\n", copy / 1e9, static_cast<long long>(rows),
              static_cast<long long>(width));
  run<float>("float", rows, width, copy);
  run<bf16>("bf16", rows, width, copy);
}
