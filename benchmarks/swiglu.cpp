// Speed of swiglu's CPU twin beside the copy bandwidth of the same run: swiglu [rows] [width].
#include "kernels/swiglu/swiglu.hpp"

#include "support.hpp"

namespace {

using namespace prefer::kernels;
using prefer::benchmark::measure;
using prefer::benchmark::Memory;

/// Gate and up as views of one product [rows, 2 width], as the model has them.
template <class T>
void run(const std::string& type, std::int64_t rows, std::int64_t width, double copy) {
  Memory<T> fused(rows * 2 * width), gradient(rows * 2 * width), h(rows * width);
  prefer::benchmark::fill(fused, 4);
  const double bytes = static_cast<double>(rows * width) * sizeof(T);
  prefer::benchmark::for_each_isa([&](Isa isa) {
    swiglu::Forward<T> forward{
        .gate = fused.data(), .up = fused.data() + width, .rows = rows, .width = width};
    forward.gate_stride = forward.up_stride = 2 * width, forward.h = h.data(), forward.isa = isa;
    swiglu::Backward<T> backward{.gate = forward.gate, .up = forward.up, .rows = rows, .width = width};
    backward.gate_stride = backward.up_stride = 2 * width, backward.isa = isa;
    backward.dh = h.data(), backward.dgate = gradient.data(), backward.dup = gradient.data() + width;
    const std::string name = type + " " + prefer::kernels::name(isa);
    measure(name + " forward", 3 * bytes, copy, [&] { swiglu::cpu::forward(forward); });
    measure(name + " backward", 5 * bytes, copy, [&] { swiglu::cpu::backward(backward); });
  });
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t rows = argc > 1 ? std::atoll(argv[1]) : 16384,
                     width = argc > 2 ? std::atoll(argv[2]) : 1536;
  const double copy = prefer::benchmark::copy_bandwidth();
  std::printf("limit: copy %.1f GB/s; [%lld, %lld]\n", copy / 1e9, static_cast<long long>(rows),
              static_cast<long long>(width));
  run<float>("float", rows, width, copy);
  run<bf16>("bf16", rows, width, copy);
}
