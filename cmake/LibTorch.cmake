# Finds LibTorch 2.11 and makes the imported targets torch::cpu and torch::cuda of its shared libraries.
#
# `find_package(Torch)` of a CUDA wheel wants nvcc at configure time and rewrites the CUDA flags; two imported targets
# do not. Looked for in this order: -DPREFER_TORCH_DIR=..., CMAKE_PREFIX_PATH, .deps (scripts/setup.sh), python3's torch.

set(PREFER_TORCH_DIR "" CACHE PATH "folder of LibTorch 2.11 that holds include/ and lib/ (python's torch folder will do)")
set(PREFER_DEPS_DIR "${PROJECT_SOURCE_DIR}/.deps/python" CACHE PATH "where scripts/setup.sh puts its wheels")

function(prefer_find_torch out)
  set(candidates ${PREFER_TORCH_DIR})
  foreach(prefix IN LISTS CMAKE_PREFIX_PATH)
    list(APPEND candidates ${prefix} ${prefix}/../..)  # torch.utils.cmake_prefix_path names share/cmake
  endforeach()
  list(APPEND candidates ${PREFER_DEPS_DIR}/torch)
  execute_process(COMMAND python3 -c "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '')"
    OUTPUT_VARIABLE python_torch OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  list(APPEND candidates ${python_torch})
  foreach(candidate IN LISTS candidates)
    if(EXISTS ${candidate}/lib/libtorch_cpu.so AND EXISTS ${candidate}/include/ATen/core/Tensor.h)
      get_filename_component(real ${candidate} REALPATH)
      set(${out} ${real} PARENT_SCOPE)
      return()
    endif()
  endforeach()
  message(FATAL_ERROR "LibTorch 2.11 was asked for, and none was found: run scripts/setup.sh, or give -DPREFER_TORCH_DIR=FOLDER (one that holds include/ and lib/)")
endfunction()

prefer_find_torch(PREFER_TORCH_ROOT)
file(STRINGS ${PREFER_TORCH_ROOT}/include/torch/headeronly/version.h torch_minor REGEX "define TORCH_VERSION_MINOR")
file(STRINGS ${PREFER_TORCH_ROOT}/include/torch/headeronly/version.h torch_major REGEX "define TORCH_VERSION_MAJOR")
string(REGEX MATCH "[0-9]+$" torch_minor "${torch_minor}")
string(REGEX MATCH "[0-9]+$" torch_major "${torch_major}")
if(NOT "${torch_major}.${torch_minor}" STREQUAL "2.11")
  message(FATAL_ERROR "LibTorch 2.11 is needed, and ${PREFER_TORCH_ROOT} holds ${torch_major}.${torch_minor}")
endif()
message(STATUS "LibTorch ${torch_major}.${torch_minor}: ${PREFER_TORCH_ROOT}")

foreach(library c10 torch_cpu c10_cuda torch_cuda)
  if(EXISTS ${PREFER_TORCH_ROOT}/lib/lib${library}.so)
    add_library(prefer_${library} SHARED IMPORTED)
    set_target_properties(prefer_${library} PROPERTIES
      IMPORTED_LOCATION ${PREFER_TORCH_ROOT}/lib/lib${library}.so
      INTERFACE_INCLUDE_DIRECTORIES "${PREFER_TORCH_ROOT}/include;${PREFER_TORCH_ROOT}/include/torch/csrc/api/include")
  endif()
endforeach()

add_library(prefer_torch INTERFACE)
add_library(torch::cpu ALIAS prefer_torch)
# The CUDA runtime that libtorch_cpu names sits beside it and is found by its own run path, not by the linker.
target_link_libraries(prefer_torch INTERFACE prefer_torch_cpu prefer_c10)
target_link_options(prefer_torch INTERFACE -Wl,--allow-shlib-undefined)
