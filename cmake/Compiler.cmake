# Flags common to every target: C++20, warnings, hardening, OpenMP, sanitizers; ccache where present.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_FLAGS_RELEASE "-O2")  # asserts of the standard library and our own stay on
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1")
if(PREFER_SANITIZE)
  set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-Og -g1")  # what the sanitizers add takes a third longer to compile with -O1
  set(prefer_computes -O1)  # for the kernels and their references, an eighth slower with -Og
endif()
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
set(CMAKE_INSTALL_RPATH_USE_LINK_PATH ON)
if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

find_program(PREFER_CCACHE ccache)
if(PREFER_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # ccache stands aside of a precompiled header, and of one just made, without these relaxations.
  set(sloppiness pch_defines,time_macros,include_file_mtime,include_file_ctime)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=${sloppiness} ${PREFER_CCACHE})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${PREFER_CCACHE})
endif()

add_library(prefer_flags INTERFACE)
target_compile_options(prefer_flags INTERFACE
  # -fPIC in programs too: they share the precompiled header of the libraries.
  $<$<COMPILE_LANGUAGE:CXX>:-fPIC -Wall -Wextra -Wshadow -Wno-unknown-pragmas -Wno-missing-field-initializers
      -Wno-restrict -fno-math-errno -fstack-protector-strong>)
target_compile_definitions(prefer_flags INTERFACE _GLIBCXX_ASSERTIONS)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  # Below a parent that names no build type, kernels would take 20 times as long.
  target_compile_options(prefer_flags INTERFACE -O2)
endif()
if(PREFER_WERROR)
  target_compile_options(prefer_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
endif()
# Not mold: Debian 12's 1.10 starts RELRO on an unmapped page where a one-byte .tbss comes first, and such a program does
# not load.
if(PREFER_SANITIZE)
  set(sanitize -fsanitize=${PREFER_SANITIZE} -fno-omit-frame-pointer)
  if(PREFER_SANITIZE MATCHES "undefined")
    list(APPEND sanitize -fno-sanitize=vptr -fno-sanitize-recover=undefined)
  endif()
  # g++ 12 calls its own std::function uninitialised once it is instrumented.
  target_compile_options(prefer_flags INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${sanitize};-Wno-maybe-uninitialized>")
  target_link_options(prefer_flags INTERFACE ${sanitize})
  target_compile_definitions(prefer_flags INTERFACE PREFER_SANITIZED)  # for tests: some are smaller then
  if(PREFER_SANITIZE MATCHES "thread")  # without OpenMP, what only its pragmas name is unused
    target_compile_options(prefer_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-unused>)
    target_compile_options(prefer_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-unused-parameter>)
  endif()
endif()

# OpenMP by its flag, not by a library's path: beside LibTorch, LibTorch's own libgomp.so.1 is the one that is loaded.
# A run time that the thread sanitizer does not know would drown it in false alarms: there the loops run in one thread.
add_library(prefer_openmp INTERFACE)
if(NOT PREFER_SANITIZE MATCHES "thread")
  target_compile_options(prefer_openmp INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fopenmp>)
endif()
target_link_options(prefer_openmp INTERFACE -fopenmp)
