// Chat templates: an interpreter of the part of Jinja2 that published templates use.
//
// Renders byte for byte what transformers' apply_chat_template does (trim_blocks, lstrip_blocks, no trailing
// newline), and says of every byte where it came from. Nothing of the host can be reached from a template.
#pragma once

#include "prefer/text/messages.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace prefer {

class Fields;

/// What a template may cost. Going over one is an Error.
struct TemplateLimits {
  std::size_t source_bytes = std::size_t{1} << 20;
  std::uint64_t steps = 10'000'000;
  std::size_t output_bytes = std::size_t{16} << 20;
  std::int64_t range = 100'000;
  int depth = 64;  ///< of macro calls
};

struct RenderOptions {
  bool add_generation_prompt = false;
  Json tools = {};  ///< an array, or null
  std::vector<std::pair<std::string, std::string>> tokens =
      {};               ///< bos_token, eos_token, ...: count as literal
  Json variables = {};  ///< an object of further variables (enable_thinking, date_string, ...)
  std::optional<std::int64_t> now =
      {};  ///< Unix seconds, for strftime_now (UTC); without it that is undefined
};

/// What a config gives templates beside messages and tools.
struct TemplateConfig {
  std::vector<std::string> chat_template_kwargs = {};  ///< name=value; a value is JSON, or else a text
  std::optional<std::string> chat_template_date = {};  ///< YYYY-MM-DD

  void describe(Fields& f);
  /// For RenderOptions; both throw Error for what is not of its form.
  Json variables() const;
  std::optional<std::int64_t> now() const;
};

/// A rendered conversation.
struct Rendered {
  static constexpr std::int32_t kLiteral = -1;  ///< written by the template
  static constexpr std::int32_t kData = -2;     ///< from tools or variables

  /// Bytes [previous end, end) come from message `source` (or kLiteral, kData); `generated`: a {% generation
  /// %} block wrote them.
  struct Stretch {
    std::size_t end;
    std::int32_t source;
    bool generated;
  };
  std::string text;
  std::vector<Stretch> stretches;  ///< in order, covering `text`
};

/// A parsed template; immutable, to be shared between threads.
class ChatTemplate {
 public:
  /// Throws Error("name:line:column: ...") for what can't be parsed or is not supported.
  explicit ChatTemplate(std::string source, std::string name = "chat_template");
  /// Throws Error for what the template itself refuses (raise_exception), for what is not supported, and over
  /// a limit.
  Rendered render(std::span<const Message> messages, const RenderOptions& options = {},
                  const TemplateLimits& limits = {}) const;
  bool has_generation_blocks() const;
  const std::string& source() const;

 private:
  struct Program;
  std::shared_ptr<const Program> program_;
};

}  // namespace prefer
