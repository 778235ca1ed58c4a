// What configs give chat templates: variables by their names, and a date.
#include "prefer/core/config.hpp"
#include "prefer/core/error.hpp"
#include "prefer/text/template.hpp"

#include <algorithm>
#include <cctype>
#include <chrono>

namespace prefer {
namespace {

bool is_name(const std::string& text) {
  return !text.empty() && !std::isdigit(static_cast<unsigned char>(text[0])) &&
         std::ranges::all_of(text, [](unsigned char c) { return std::isalnum(c) || c == '_'; });
}

Json value_of(const std::string& text, const std::string& what) {
  // A text would be true, whatever it says.
  if (text == "True" || text == "False" || text == "None")
    fail(what, ": a value is JSON, which has true, false and null, not ", text);
  try {
    return parse_json(text, what, JsonLimits::config());
  } catch (const Error& error) {
    if (text.find_first_of("[{\"") == 0)
      fail(error.what(), "; a text that begins like JSON is given as a JSON string");
    return Json(text);
  }
}

}  // namespace

void TemplateConfig::describe(Fields& f) {
  f("chat_template_kwargs", chat_template_kwargs,
    "variables of the chat template, as name=value: enable_thinking=false");
  f("chat_template_date", chat_template_date,
    "YYYY-MM-DD, for chat templates that ask which day it is (strftime_now), or null");
}

Json TemplateConfig::variables() const {
  static const std::vector<std::string> kTaken = {
      "messages",  "tools",     "documents", "add_generation_prompt",
      "bos_token", "eos_token", "pad_token", "unk_token"};
  Json all = Json::object();
  for (const std::string& given : chat_template_kwargs) {
    const std::string what = "chat_template_kwargs: " + quote(given);
    const std::size_t equals = given.find('=');
    const std::string name = given.substr(0, equals);
    if (equals == std::string::npos || !is_name(name)) fail(what, " is not name=value");
    if (std::ranges::find(kTaken, name) != kTaken.end())
      fail(what, ": ", name, " is not for a config to set");
    if (all.contains(name)) fail(what, ": ", name, " is given twice");
    all.set(name, value_of(given.substr(equals + 1), what));
  }
  return all;
}

std::optional<std::int64_t> TemplateConfig::now() const {
  using namespace std::chrono;
  if (!chat_template_date) return std::nullopt;
  const std::string& date = *chat_template_date;
  std::string shape = date;
  for (char& c : shape) c = std::isdigit(static_cast<unsigned char>(c)) ? '0' : c;
  const auto number = [&](std::size_t at, std::size_t size) { return std::stoi(date.substr(at, size)); };
  if (shape == "0000-00-00") {
    const year_month_day when{year{number(0, 4)}, month{static_cast<unsigned>(number(5, 2))},
                              day{static_cast<unsigned>(number(8, 2))}};
    if (when.ok()) return seconds(sys_days(when).time_since_epoch()).count();
  }
  fail("chat_template_date: ", quote(date), " is no day as YYYY-MM-DD");
}

}  // namespace prefer
