# Finds LibTorch 2.11 and makes torch::cpu (and torch::cuda, where it has one) of its shared libraries.
#
# `find_package(Torch)` of a CUDA wheel wants nvcc at configure time and rewrites the CUDA flags; imported targets of
# our own do not. Looked at in this order, the first of version 2.11 is taken: PREFER_TORCH_DIR (cache or environment),
# CMAKE_PREFIX_PATH (cache or environment), PREFER_DEPS_DIR/torch (scripts/setup.sh), the torch that python3 imports,
# and last, for those who find the package, the one that it was built with.
if(TARGET torch::cpu)  # made by an earlier find_package(prefer): a target is made once
  return()
endif()
set(PREFER_TORCH_VERSION 2.11)
set(PREFER_TORCH_DIR "$ENV{PREFER_TORCH_DIR}" CACHE PATH "folder of LibTorch 2.11 that holds include/ and lib/ (python's torch folder will do)")
set(PREFER_DEPS_DIR "${PROJECT_SOURCE_DIR}/.deps/python" CACHE PATH "where scripts/setup.sh puts its wheels")

# The version of the LibTorch in FOLDER as MAJOR.MINOR; empty where there is none.
function(prefer_torch_version folder out)
  set(${out} "" PARENT_SCOPE)
  set(header ${folder}/include/torch/headeronly/version.h)
  if(EXISTS ${folder}/lib/libtorch_cpu.so AND EXISTS ${header})
    file(STRINGS ${header} lines REGEX "define TORCH_VERSION_(MAJOR|MINOR) ")
    string(REGEX MATCHALL "[0-9]+" numbers "${lines}")
    list(JOIN numbers "." version)
    set(${out} "${version}" PARENT_SCOPE)
  elseif(EXISTS ${folder}/lib/libtorch_cpu.so)
    set(${out} "an older version" PARENT_SCOPE)
  endif()
endfunction()

function(prefer_torch_candidates out)
  set(prefixes ${CMAKE_PREFIX_PATH})
  cmake_path(CONVERT "$ENV{CMAKE_PREFIX_PATH}" TO_CMAKE_PATH_LIST more)
  list(APPEND prefixes ${more})
  set(candidates ${PREFER_TORCH_DIR})
  foreach(prefix IN LISTS prefixes)
    list(APPEND candidates ${prefix} ${prefix}/../..)  # torch.utils.cmake_prefix_path names share/cmake
  endforeach()
  list(APPEND candidates ${PREFER_DEPS_DIR}/torch)
  execute_process(COMMAND python3 -c "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '')"
    OUTPUT_VARIABLE imported OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE ignored)
  set(${out} ${candidates} ${imported} ${PREFER_TORCH_BUILT_WITH} PARENT_SCOPE)
endfunction()

function(prefer_find_torch out)
  prefer_torch_candidates(candidates)
  set(seen "none was found")
  foreach(candidate IN LISTS candidates)
    prefer_torch_version(${candidate} version)
    if(version STREQUAL PREFER_TORCH_VERSION)
      get_filename_component(real ${candidate} REALPATH)
      set(${out} ${real} PARENT_SCOPE)
      return()
    elseif(version)
      set(seen "${candidate} holds ${version}")
    endif()
  endforeach()
  message(FATAL_ERROR "LibTorch ${PREFER_TORCH_VERSION} is needed, ${seen}: run scripts/setup.sh, or give "
    "-DPREFER_TORCH_DIR=FOLDER (one that holds include/ and lib/)")
endfunction()

prefer_find_torch(PREFER_TORCH_ROOT)
message(STATUS "LibTorch ${PREFER_TORCH_VERSION}: ${PREFER_TORCH_ROOT}")

foreach(library c10 torch_cpu)
  if(EXISTS ${PREFER_TORCH_ROOT}/lib/lib${library}.so)
    add_library(prefer_${library} SHARED IMPORTED)
    set_target_properties(prefer_${library} PROPERTIES
      IMPORTED_LOCATION ${PREFER_TORCH_ROOT}/lib/lib${library}.so
      INTERFACE_INCLUDE_DIRECTORIES "${PREFER_TORCH_ROOT}/include;${PREFER_TORCH_ROOT}/include/torch/csrc/api/include")
  endif()
endforeach()

add_library(torch::cpu INTERFACE IMPORTED)
# The CUDA runtime that libtorch_cpu names sits beside it and is found by its own run path, not by the linker.
target_link_libraries(torch::cpu INTERFACE prefer_torch_cpu prefer_c10)
target_link_options(torch::cpu INTERFACE -Wl,--allow-shlib-undefined)
if(EXISTS ${PREFER_TORCH_ROOT}/lib/libtorch_cuda.so)
  add_library(torch::cuda INTERFACE IMPORTED)
  # No program calls them by name: they make themselves known to libtorch_cpu when they are loaded. What they need of
  # CUDA is found by their own run paths where the program runs.
  set(libraries ${PREFER_TORCH_ROOT}/lib)
  target_link_libraries(torch::cuda INTERFACE torch::cpu
    "-Wl,--push-state,--no-as-needed,${libraries}/libtorch_cuda.so,${libraries}/libc10_cuda.so,--pop-state")
endif()
