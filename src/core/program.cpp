// The command line and environment of programs, and what becomes of their errors.
#include "prefer/core/program.hpp"

#include "prefer/core/fs.hpp"

#include <cctype>
#include <cstdio>
#include <iostream>
#include <new>

namespace prefer {
namespace {

/// Letters, digits, _ and dots before a '='; so a path with a '=' further on stays a path.
bool is_override(std::string_view argument) {
  const std::size_t equals = argument.find('=');
  if (equals == std::string_view::npos || equals == 0) return false;
  for (const char c : argument.substr(0, equals))
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '.' && c != '-') return false;
  return argument[0] != '-' && argument[0] != '.';
}

}  // namespace

Arguments parse_arguments(int argc, const char* const* argv) {
  Arguments result;
  const std::string_view path = argc > 0 ? argv[0] : "program";
  result.program = path.substr(path.find_last_of('/') + 1);
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--help" || argument == "-h") {
      result.help = true;
    } else if (is_override(argument)) {
      const std::size_t equals = argument.find('=');
      result.overrides[argument.substr(0, equals)] = argument.substr(equals + 1);
    } else if (argument.starts_with('-')) {
      fail(quote(argument), " is no argument of ", result.program,
           "; it takes [config.json] key.path=value ... or --help");
    } else if (result.config.empty() && result.overrides.empty()) {
      result.config = argument;
    } else {
      fail(quote(argument), " is neither key.path=value nor the first argument, the config file");
    }
  }
  return result;
}

Json read_config_file(const std::string& path) {
  if (path.empty()) return Json();
  PosixFs fs;
  const JsonLimits limits = JsonLimits::config();
  return parse_json(read_file(fs, path, limits.max_bytes), path, limits);
}

Environment environment(const char* const* variables) {
  Environment result;
  for (; *variables != nullptr; ++variables) {
    const std::string_view text = *variables;
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos) result.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return result;
}

namespace {

/// The first line of what a library threw: LibTorch puts a backtrace behind it.
std::string first_line(const std::exception& error) {
  const std::string_view text = error.what();
  return std::string(text.substr(0, text.find('\n')));
}

bool lacks_memory(const std::string& text) {
  return text.find("can't allocate memory") != std::string::npos ||
         text.find("out of memory") != std::string::npos;
}

}  // namespace

int run_guarded(const std::function<void()>& body) {
  try {
    body();
    if (!std::cout.flush()) fail("could not write to the standard output");
    return 0;
  } catch (const HelpAsked& help) {
    std::fputs(help.text.c_str(), stdout);
    return std::fflush(stdout) == 0 ? 0 : 1;
  } catch (const Stopped& stopped) {
    return stopped.exit_code();
  } catch (const Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  } catch (const std::bad_alloc&) {
    std::fputs("error: out of memory\n", stderr);
    return 2;
  } catch (const std::exception& error) {
    const std::string text = first_line(error);
    std::fprintf(stderr,
                 lacks_memory(text)
                     ? "error: out of memory; smaller batches and shorter texts need less: %s\n"
                     : "internal error: %s\n",
                 text.c_str());
    return 2;
  }
}

}  // namespace prefer
