// ChatTemplate: parses once, renders conversations, and hands out where each byte came from.
#include "prefer/text/template.hpp"

#include "prefer/core/error.hpp"
#include "src/text/jinja/machine.hpp"

#include <algorithm>

namespace prefer {

struct ChatTemplate::Program {
  std::string name;
  std::string source;
  std::vector<jinja::Stmt> statements;
  bool reads_parts;
};

namespace {

static_assert(Rendered::kLiteral == jinja::kLiteral && Rendered::kData == jinja::kData);

/// Whether a template takes contents of parts apart: there is no way to the text of {"type": "text", "text":
/// "Hi"} but by its name, as in part.text, part['text'] or map(attribute='text').
bool takes_parts_apart(const std::string& source, const std::string& name) {
  bool after_dot = false;
  for (const jinja::Token& token : jinja::tokenize_template(source, name)) {
    const bool named =
        token.kind == jinja::TokenKind::string || (token.kind == jinja::TokenKind::name && after_dot);
    if (named && token.text == "text") return true;
    after_dot = token.kind == jinja::TokenKind::mark && token.text == ".";
  }
  return false;
}

jinja::Value message_value(const Message& message, std::int32_t index, bool reads_parts) {
  using jinja::Text;
  std::vector<std::pair<Text, jinja::Value>> items;
  items.emplace_back(Text("role"), Text(message.role));
  const bool other_content = message.extra.is_object() && message.extra.contains("content");
  if (!other_content) items.emplace_back(Text("content"), Text(message.content, index));
  if (message.extra.is_object()) {
    for (const auto& [key, value] : message.extra.as_object()) {
      const bool as_text = key == "content" && !reads_parts && text_of_parts(value);
      items.emplace_back(Text(key, index),
                         as_text ? Text(message.content, index) : jinja::from_json(value, index));
    }
  }
  return jinja::make_dict(std::move(items));
}

bool has_generation(const std::vector<jinja::Stmt>& body) {
  return std::any_of(body.begin(), body.end(), [](const jinja::Stmt& stmt) {
    return stmt.kind == jinja::StmtKind::generation || has_generation(stmt.body) ||
           has_generation(stmt.otherwise);
  });
}

}  // namespace

ChatTemplate::ChatTemplate(std::string source, std::string name) {
  const std::size_t limit = TemplateLimits{}.source_bytes;
  if (source.size() > limit) fail(name, ": the template is longer than ", limit, " bytes");
  auto program = std::make_shared<Program>();
  program->name = std::move(name);
  program->source = std::move(source);
  program->statements = jinja::parse_template(program->source, program->name);
  program->reads_parts = takes_parts_apart(program->source, program->name);
  program_ = std::move(program);
}

Rendered ChatTemplate::render(std::span<const Message> messages, const RenderOptions& options,
                              const TemplateLimits& limits) const {
  jinja::Machine machine(program_->name, limits, options.now);
  std::vector<jinja::Value> list;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    list.push_back(message_value(messages[i], static_cast<std::int32_t>(i), program_->reads_parts));
  }
  machine.define("messages", jinja::make_list(std::move(list)));
  machine.define("tools", jinja::from_json(options.tools, jinja::kData));
  machine.define("documents", jinja::None{});
  machine.define("add_generation_prompt", jinja::Value::boolean(options.add_generation_prompt));
  for (const auto& [name, token] : options.tokens) machine.define(name, jinja::make_text(token));
  if (!options.variables.is_null()) {
    for (const auto& [name, value] : options.variables.as_object()) {
      machine.define(name, jinja::from_json(value, jinja::kData));
    }
  }
  const jinja::Text text = machine.run(program_->statements);
  Rendered out{text.bytes(), {}};
  for (const auto& run : text.runs())
    out.stretches.push_back({run.end, run.origin.source, run.origin.generated});
  return out;
}

bool ChatTemplate::has_generation_blocks() const { return has_generation(program_->statements); }

const std::string& ChatTemplate::source() const { return program_->source; }

}  // namespace prefer
