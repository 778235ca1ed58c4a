# prefer_cuda, alias prefer::cuda: the CUDA twins of the kernels; without PREFER_CUDA, bodies that throw (kernels/no_cuda.cpp).
if(NOT PREFER_CUDA)
  file(GLOB no_cuda_source CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/kernels/no_cuda.cpp)
  prefer_layer(cuda SOURCES ${no_cuda_source} LINK prefer_kernels)
  return()
endif()

# nvcc 13 of the wheels, which `scripts/setup.sh --nvcc` installs only where there is no toolkit 13, or of a toolkit.
if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  find_program(PREFER_NVCC nvcc HINTS ${PROJECT_SOURCE_DIR}/.deps/cuda/nvidia/cu13 ENV CUDA_HOME ENV CUDA_PATH
    PATHS /usr/local/cuda PATH_SUFFIXES bin)
  if(PREFER_NVCC)
    set(CMAKE_CUDA_COMPILER ${PREFER_NVCC})
  endif()
endif()
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 80-real 90)  # 90 carries PTX too, for what comes later
endif()
enable_language(CUDA)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know C++20 for nvcc 13
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
  list(APPEND CMAKE_CUDA_COMPILE_FEATURES cuda_std_20)
endif()

# No find_package(CUDAToolkit): that of CMake 3.25 fails where a wheel is the toolkit, and the language knows the run time.
file(GLOB cuda_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/kernels/*/*.cu)
list(FILTER cuda_sources EXCLUDE REGEX "/_template/")
prefer_layer(cuda SOURCES ${cuda_sources} LINK prefer_kernels)
if(cuda_sources)
  target_compile_options(prefer_cuda PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr>)
  # The run time inside the binary: it runs where there is a driver and nothing else, beside LibTorch's own run time.
  set_target_properties(prefer_cuda PROPERTIES CUDA_STANDARD 20 CUDA_RUNTIME_LIBRARY Static)
endif()
