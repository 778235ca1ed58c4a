// A consumer of the text layer alone: a chat template and JSON, without LibTorch.
#include "prefer/core/error.hpp"
#include "prefer/core/json.hpp"
#include "prefer/text/template.hpp"

#include <cstdio>

int main() {
  const prefer::ChatTemplate turns("{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}");
  const prefer::Json chat = prefer::parse_json(R"([{"role": "user", "content": "ä?"}])", "chat");
  const std::string text = turns.render(prefer::messages_from_json(chat), {}).text;
  bool refused = false;
  try {
    prefer::ChatTemplate("{% for %}");
  } catch (const prefer::Error&) {
    refused = true;
  }
  std::printf("%s\n", text.c_str());
  return text == "<user>ä?" && refused ? 0 : 1;
}
