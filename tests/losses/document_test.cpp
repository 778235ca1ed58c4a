// docs/losses.md is what the loss structs say of themselves: their equations and their knobs.
#include "prefer/core/fs.hpp"
#include "prefer/losses/kto.hpp"
#include "prefer/losses/preference_loss.hpp"
#include "prefer/losses/reward_loss.hpp"

#include <gtest/gtest.h>

#include <sstream>

namespace prefer {
namespace {

const char* const kHead =
    "# Losses\n\n"
    "What the structs in `include/prefer/losses/` say of themselves: this page is made from them by\n"
    "`tests/losses/document_test.cpp`, which fails when it is out of date and says where the new one is.\n\n"
    "The `dpo` program chooses one of the first by `loss.name` and sets its knobs beside it "
    "(`loss.beta=0.2`); the\n"
    "`reward` program has the two named so at the end. Each maps N pairs to N numbers\n"
    "(`[N]`); the step's loss is their sum, weighted by the records' shares, per pair. x is the prompt, y_w "
    "the chosen\n"
    "answer and y_l the rejected one; pi is what is trained and ref what it is held to. A loss of your own "
    "is\n"
    "`examples/own_loss.cpp`.\n";

/// The knobs of each alternative, as rows of a table.
class Knobs : public Fields {
 public:
  explicit Knobs(std::string name = "") : name_(std::move(name)) {}
  std::map<std::string, std::string> rows;

  void choice(std::string_view, std::string&, std::string_view, const std::vector<Choice>& choices) override {
    for (const Choice& choice : choices) {
      name_ = choice.name;
      choice.describe(*this);
    }
  }

 protected:
  void field(const FieldInfo& info, FieldValue value) override {
    std::ostringstream row;
    row << "| `loss." << info.name << "` | ";
    if (const auto* number = std::get_if<double*>(&value)) row << **number;
    if (const auto* flag = std::get_if<bool*>(&value)) row << (**flag ? "true" : "false");
    row << " | " << info.rule.text() << " | " << info.help << " |\n";
    rows[name_] += row.str();
  }
  void enter(std::string_view) override {}
  void leave() override {}

 private:
  std::string name_;
};

/// The first line of a header, without "// " and the full stop; then the comment above its struct, without
/// slashes.
std::pair<std::string, std::string> title_and_comment(const std::string& header) {
  std::istringstream lines(header);
  std::string title, line, comment;
  std::getline(lines, title);
  while (std::getline(lines, line) && !line.starts_with("struct ")) {
    if (line.starts_with("/// ")) comment += line.substr(4) + "\n";
  }
  return {title.substr(3, title.size() - 4), comment};
}

/// A loss's part of the page.
std::string section(Fs& fs, const std::string& name, const std::string& note, const std::string& rows) {
  const std::string path = "include/prefer/losses/" + name + ".hpp";
  const auto [title, comment] = title_and_comment(read_file(fs, PREFER_SOURCE_DIR "/" + path, 1 << 20));
  const std::string table = "\n| key | default | rule | meaning |\n|---|---|---|---|\n" + rows;
  return "\n## " + name + "\n\n" + title + note + ". [`" + path + "`](../" + path + ")\n\n```\n" + comment +
         "```\n" + (rows.empty() ? "" : table);
}

std::string page(Fs& fs) {
  Knobs knobs;
  PreferenceLoss any;
  any.describe(knobs);
  std::string text = kHead;
  for (const PreferenceLoss& loss : preference_catalogue()) {
    std::string note = loss.needs_reference() ? "" : "; reads no reference";
    if (loss.coupled()) note += "; taken over all pairs of the step at once";
    text += section(fs, loss.name(), note, knobs.rows[loss.name()]);
  }
  const auto add = [&](auto loss, const char* note) {
    Knobs own(loss.name);
    loss.describe(own);
    text += section(fs, loss.name, note, own.rows[loss.name]);
  };
  add(BradleyTerry{}, "; of the program `reward`");
  add(PlackettLuce{}, "; of the program `reward`, with `loss.name=plackett_luce`, per ranking");
  add(Kto{}, "; of the program `kto`, on single answers");
  return text;
}

TEST(Document, LossesPageIsWhatTheStructsSay) {
  PosixFs fs;
  const std::string made = page(fs), fresh = PREFER_BIN_DIR "/../losses.md";
  if (read_file(fs, PREFER_SOURCE_DIR "/docs/losses.md", 1 << 20) == made) return;
  write_file_atomically(fs, fresh, made);
  FAIL() << "docs/losses.md is out of date: cp " << fresh << " docs/losses.md";
}

}  // namespace
}  // namespace prefer
