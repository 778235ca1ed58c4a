// docs/losses.md is what the loss structs say of themselves: their equations and their knobs.
#include "prefer/core/fs.hpp"
#include "prefer/losses/kto.hpp"
#include "prefer/losses/policy.hpp"
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
    "programs `reward`, `kto` and `ppo` have those at the end. Each of the first maps N pairs to N numbers\n"
    "(`[N]`); the step's loss is their sum, weighted by the records' shares, per pair. x is the prompt, y_w "
    "the chosen\n"
    "answer and y_l the rejected one; pi is what is trained and ref what it is held to. A loss of your own "
    "is\n"
    "`examples/own_loss.cpp`.\n";

/// The knobs of each alternative, as rows of a table.
class Knobs : public Fields {
 public:
  explicit Knobs(std::string name = "", std::string prefix = "loss.")
      : name_(std::move(name)), prefix_(std::move(prefix)) {}
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
    row << "| `" << prefix_ << info.name << "` | ";
    if (const auto* number = std::get_if<double*>(&value)) row << **number;
    if (const auto* flag = std::get_if<bool*>(&value)) row << (**flag ? "true" : "false");
    row << " | " << info.rule.text() << " | " << info.help << " |\n";
    rows[name_] += row.str();
  }
  void enter(std::string_view) override {}
  void leave() override {}

 private:
  std::string name_, prefix_;
};

/// The first line of a header, without "// " and the full stop; then the comments above its first structs,
/// without slashes.
std::pair<std::string, std::string> title_and_comments(const std::string& header, int structs) {
  std::istringstream lines(header);
  std::string title, line, comments;
  std::getline(lines, title);
  while (structs > 0 && std::getline(lines, line)) {
    if (line.starts_with("/// ")) comments += line.substr(4) + "\n";
    if (line.starts_with("struct ") && --structs > 0) comments += "\n";
  }
  return {title.substr(3, title.size() - 4), comments};
}

/// Where a loss is: the header, and how many of its first structs it is made of.
struct Source {
  std::string header;
  int structs = 1;
};

/// A loss's part of the page.
std::string section(Fs& fs, const std::string& name, const Source& source, const std::string& note,
                    const std::string& rows) {
  const std::string path = "include/prefer/losses/" + source.header + ".hpp";
  const auto [title, comment] =
      title_and_comments(read_file(fs, PREFER_SOURCE_DIR "/" + path, 1 << 20), source.structs);
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
    text += section(fs, loss.name(), {loss.name()}, note, knobs.rows[loss.name()]);
  }
  const auto add = [&](auto loss, const char* note) {
    Knobs own(loss.name);
    loss.describe(own);
    text += section(fs, loss.name, {loss.name}, note, own.rows[loss.name]);
  };
  add(BradleyTerry{}, "; of the program `reward`");
  add(PlackettLuce{}, "; of the program `reward`, with `loss.name=plackett_luce`, per ranking");
  add(Kto{}, "; of the program `kto`, on single answers");
  Knobs of_ppo("ppo", "");
  PpoLoss ppo;
  ppo.describe(of_ppo);
  return text +
         section(fs, "ppo", {"policy", 3}, "; of the program `ppo`, on its own answers", of_ppo.rows["ppo"]);
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
