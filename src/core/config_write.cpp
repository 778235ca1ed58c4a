// Configs as resolved JSON, as their hash, and as the text of --help.
#include "prefer/core/config.hpp"
#include "prefer/core/sha256.hpp"

#include <algorithm>
#include <array>

namespace prefer {
namespace {

Json json_of(const FieldValue& field) {
  const auto write = [](const auto* value) -> Json {
    using T = std::remove_cvref_t<decltype(*value)>;
    if constexpr (std::is_same_v<T, std::vector<std::string>>) {
      return Json(Json::Array(value->begin(), value->end()));
    } else if constexpr (requires { value->has_value(); }) {
      return *value ? Json(**value) : Json();
    } else {
      return Json(*value);
    }
  };
  return std::visit(write, field);
}

class Writer : public Fields {
 public:
  Json result() { return std::move(open_.front().second); }

 protected:
  void field(const FieldInfo& info, FieldValue value) override {
    open_.back().second.set(std::string(info.name), json_of(value));
  }
  void enter(std::string_view name) override { open_.emplace_back(name, Json::object()); }
  void leave() override {
    auto [name, group] = std::move(open_.back());
    open_.pop_back();
    open_.back().second.set(std::move(name), std::move(group));
  }

 private:
  std::vector<std::pair<std::string, Json>> open_{{"", Json::object()}};
};

class Explainer : public Fields {
 public:
  std::string text() const {
    Row width = {"", "", "", ""};
    for (const Row& row : rows_)
      for (std::size_t i = 0; i < 3; ++i)
        if (row[i].size() > width[i].size() && row[i].size() <= kWidest) width[i] = row[i];
    std::string out;
    for (const Row& row : rows_) {
      std::string line;
      for (std::size_t i = 0; i < 3; ++i) {
        line += row[i];
        line.append(width[i].size() - std::min(row[i].size(), width[i].size()) + 2, ' ');
      }
      out += line + row[3] + "\n";
    }
    return out;
  }

  void choice(std::string_view name, std::string& selected, std::string_view help,
              const std::vector<Choice>& choices) override {
    std::vector<std::string> names;
    for (const Choice& choice : choices) names.push_back(choice.name);
    (*this)(name, selected, help, one_of(names));
    const std::string outer = when_;
    for (const Choice& choice : choices) {
      when_ = outer + "[" + choice.name + "] ";
      choice.describe(*this);
    }
    when_ = outer;
  }

 protected:
  void field(const FieldInfo& info, FieldValue value) override {
    const std::string shown = info.rule.required ? "-" : dump(json_of(value));
    rows_.push_back(
        {path_ + std::string(info.name), shown, info.rule.text(), when_ + std::string(info.help)});
  }
  void enter(std::string_view name) override { path_ += std::string(name) + "."; }
  void leave() override { path_.resize(path_.rfind('.', path_.size() - 2) + 1); }

 private:
  using Row = std::array<std::string, 4>;
  static constexpr std::size_t kWidest = 48;  // a longer cell pushes its own line only

  std::vector<Row> rows_{{"key", "default", "rule", "meaning"}};
  std::string path_, when_;
};

}  // namespace

Json write_fields(const Describe& describe) {
  Writer writer;
  describe(writer);
  return writer.result();
}

std::string explain_fields(const Describe& describe) {
  Explainer explainer;
  describe(explainer);
  return explainer.text();
}

std::string config_hash(const Json& resolved) { return sha256(dump(resolved)); }

}  // namespace prefer
