# The CUDA twins of the kernels. PREFER_CUDA is OFF: none, callers meet bodies that throw (kernels/no_cuda.cpp); ON: in
# every program; BESIDE: the programs are those of OFF, and beside them stand test_cuda and dpo_cuda, so that a machine
# without a GPU compiles and links all of CUDA in one build.
set_property(CACHE PREFER_CUDA PROPERTY STRINGS OFF ON BESIDE)
set(prefer_torch_device "")  # what the layers on LibTorch need for tensors on a GPU

if(NOT PREFER_CUDA OR PREFER_CUDA STREQUAL "BESIDE")
  prefer_layer(cuda SOURCES ${PROJECT_SOURCE_DIR}/kernels/no_cuda.cpp LINK prefer_kernels)
  prefer_layer(nccl TORCH SOURCES ${PROJECT_SOURCE_DIR}/src/dist/no_nccl.cpp LINK prefer_core)
endif()
if(NOT PREFER_CUDA)
  return()
endif()
if(NOT TARGET torch::cuda)
  message(FATAL_ERROR "PREFER_CUDA=${PREFER_CUDA} wants a LibTorch with CUDA, and ${PREFER_TORCH_ROOT} has no libtorch_cuda.so")
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
prefer_layer(cuda_kernels SOURCES ${cuda_sources} LINK prefer_kernels)
target_compile_options(prefer_cuda_kernels PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr>)
# The run time inside the binary: it runs where there is a driver and nothing else, beside LibTorch's own run time.
set_target_properties(prefer_cuda_kernels PROPERTIES CUDA_STANDARD 20 CUDA_RUNTIME_LIBRARY Static)

# NCCL itself is in LibTorch; its header comes with a toolkit or with the wheel of NCCL (scripts/wheels/cuda.txt).
find_path(PREFER_NCCL_INCLUDE nccl.h HINTS ${PREFER_TORCH_ROOT}/../nvidia/nccl/include ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
set(nccl_source no_nccl.cpp)
if(PREFER_NCCL_INCLUDE)
  set(nccl_source nccl.cpp)
else()
  message(STATUS "nccl.h was not found: device=cuda will run on one rank")
endif()
prefer_layer(cuda_nccl TORCH SOURCES ${PROJECT_SOURCE_DIR}/src/dist/${nccl_source} LINK prefer_core)
target_include_directories(prefer_cuda_nccl SYSTEM PRIVATE
  $<$<BOOL:${PREFER_NCCL_INCLUDE}>:${PREFER_NCCL_INCLUDE}> ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})

if(NOT PREFER_CUDA STREQUAL "BESIDE")
  prefer_layer(cuda LINK prefer_cuda_kernels)
  prefer_layer(nccl LINK prefer_cuda_nccl)
  set(prefer_torch_device torch::cuda)
endif()

# Makes an executable of the kernels alone one stripped file that needs a driver and libc, to be carried to a GPU.
function(prefer_carried_cuda target)
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=libgomp.a OUTPUT_VARIABLE gomp OUTPUT_STRIP_TRAILING_WHITESPACE)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR} ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
  target_link_libraries(${target} PRIVATE prefer_flags prefer_cuda_kernels ${gomp})
  target_link_options(${target} PRIVATE -static-libstdc++ -static-libgcc -Wl,--as-needed,--strip-all)
  set_target_properties(${target} PROPERTIES LINKER_LANGUAGE CXX CUDA_RUNTIME_LIBRARY Static)
endfunction()

# Links all of prefer with CUDA, whatever the other programs have. Beside them: all twins come first, so that no body
# of no_cuda.cpp is taken, and a twin that is missing is an error.
function(prefer_link_with_cuda target)
  set_target_properties(${target} PROPERTIES LINKER_LANGUAGE CXX)
  if(PREFER_CUDA STREQUAL "BESIDE")
    target_link_libraries(${target} PRIVATE
      "$<LINK_LIBRARY:WHOLE_ARCHIVE,prefer_cuda_kernels,prefer_cuda_nccl>" torch::cuda)
  endif()
  target_link_libraries(${target} PRIVATE prefer::prefer prefer_flags)
endfunction()
