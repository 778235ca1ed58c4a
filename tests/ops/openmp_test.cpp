// One OpenMP run time for LibTorch and for our kernels: two would start twice the threads and keep two
// settings.
#include "prefer/tensor.hpp"

#include <gtest/gtest.h>
#include <omp.h>

#include <fstream>
#include <set>
#include <string>

namespace prefer {
namespace {

std::set<std::string> mapped_openmp_libraries() {
  std::set<std::string> paths;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const auto begin = line.find('/');
    if (begin == std::string::npos) continue;
    const std::string path = line.substr(begin);
    for (const char* name : {"/libgomp", "/libiomp", "/libomp"}) {
      if (path.find(name) != std::string::npos) paths.insert(path);
    }
  }
  return paths;
}

int team_size() {
  int size = 0;
#pragma omp parallel
  {
#pragma omp single
    size = omp_get_num_threads();
  }
  return size;
}

TEST(OpenMp, OneRunTimeIsLoaded) {
  at::ones({4}).sum();
  EXPECT_EQ(mapped_openmp_libraries().size(), 1u) << ::testing::PrintToString(mapped_openmp_libraries());
}

TEST(OpenMp, LibTorchsNumberOfThreadsIsOurs) {
  const int before = at::get_num_threads();
  for (const int threads : {3, 1, 2}) {
    at::set_num_threads(threads);
    EXPECT_EQ(team_size(), threads);
  }
  at::set_num_threads(before);
}

}  // namespace
}  // namespace prefer
