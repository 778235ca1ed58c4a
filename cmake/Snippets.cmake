# prefer_snippets(TARGET OUTPUT DOCUMENT ...): the C++ blocks of Markdown documents, compiled into a target as one file. A block
# that begins, behind its includes, with "prefer::" is statements, which may use what stands in their function's parameters;
# others are declarations.
function(prefer_snippets target output)
  set(includes "#include \"prefer/prefer.hpp\"\n#include <iostream>\n")
  set(code "")
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
      string(REGEX MATCHALL "#include [^\n]*\n" found "${block}")
      string(APPEND includes ${found})
      string(REGEX REPLACE "#include [^\n]*\n" "\n" code_of_block "${block}")
      string(REGEX MATCHALL "\n" lines "${before}")
      list(LENGTH lines passed)
      math(EXPR line "${line} + ${passed}")
      set(place "#line ${line} \"${document}\"\n")
      if(code_of_block MATCHES "^\n*prefer::")
        string(APPEND code "\nvoid statements_${line}(${given}) {\n  {\n${place}${code_of_block}  }\n}\n")
      else()
        string(APPEND code "\n${place}${code_of_block}")
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
  file(WRITE ${output}.new "// The C++ blocks of documents; made by CMake.
${includes}
#pragma GCC diagnostic ignored \"-Wshadow\"
#pragma GCC diagnostic ignored \"-Wunused-parameter\"

namespace prefer_snippets {
${code}
}  // namespace prefer_snippets
")
  configure_file(${output}.new ${output} COPYONLY)  # touched only where it changes
  target_sources(${target} PRIVATE ${output})
endfunction()
