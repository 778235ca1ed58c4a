# prefer_snippets(TARGET OUTPUT DOCUMENT ...): the C++ blocks of Markdown documents, compiled into a target as one file. A block
# that begins with "prefer::" is statements, which may use what stands in their function's parameters; others are declarations.
function(prefer_snippets target output)
  set(code [[
// The C++ blocks of the documents; made by CMake.
#include "prefer/prefer.hpp"

#include <iostream>
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-parameter"

namespace prefer_snippets {
]])
  set(given "prefer::PpoConfig config, prefer::Process& process, std::shared_ptr<const std::vector<prefer::Record>> records, \
std::shared_ptr<prefer::Transformer> policy, std::shared_ptr<const prefer::Transformer> reference")
  foreach(document ${ARGN})
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${document})
    file(READ ${PROJECT_SOURCE_DIR}/${document} rest)
    set(line 1)
    set(blocks 0)
    while(TRUE)
      string(FIND "${rest}" "```cpp\n" begin)
      if(begin EQUAL -1)
        break()
      endif()
      math(EXPR begin "${begin} + 7")
      string(SUBSTRING "${rest}" 0 ${begin} before)
      string(SUBSTRING "${rest}" ${begin} -1 rest)
      string(FIND "${rest}" "```" end)
      string(SUBSTRING "${rest}" 0 ${end} block)
      string(REGEX MATCHALL "\n" lines "${before}")
      list(LENGTH lines passed)
      math(EXPR line "${line} + ${passed}")
      set(place "#line ${line} \"${document}\"\n")
      if(block MATCHES "^prefer::")
        string(APPEND code "\nvoid statements_${line}(${given}) {\n  {\n${place}${block}  }\n}\n")
      else()
        string(APPEND code "\n${place}${block}")
      endif()
      string(SUBSTRING "${rest}" ${end} -1 rest)
      string(REGEX MATCHALL "\n" lines "${block}")
      list(LENGTH lines passed)
      math(EXPR line "${line} + ${passed}")
      math(EXPR blocks "${blocks} + 1")
    endwhile()
    if(blocks EQUAL 0)
      message(FATAL_ERROR "${document} has no C++ to compile")
    endif()
  endforeach()
  string(APPEND code "\n}  // namespace prefer_snippets\n")
  file(WRITE ${output}.new "${code}")
  configure_file(${output}.new ${output} COPYONLY)  # touched only where it changes
  target_sources(${target} PRIVATE ${output})
endfunction()
