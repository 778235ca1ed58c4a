// Templates against what transformers' Jinja environment renders, their provenance, and their limits.
#include "prefer/text/template.hpp"

#include "prefer/core/config.hpp"
#include "prefer/core/error.hpp"
#include "prefer/core/sha256.hpp"
#include "prefer/text/utf8.hpp"
#include "tests/support/data.hpp"
#include "tests/support/error.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <random>
#include <sstream>

namespace prefer {
namespace {

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

const Json& goldens() {
  static const Json all = parse_json(read(testing::golden("templates.json")), "templates.json");
  return all;
}

RenderOptions options(bool prompt, bool with_tools) {
  RenderOptions out;
  out.add_generation_prompt = prompt;
  if (with_tools) out.tools = goldens().at("tools");
  out.tokens = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};
  out.now = goldens().at("now").as_integer();
  return out;
}

std::vector<Message> chat(const std::string& name) {
  return messages_from_json(goldens().at("chats").at(name));
}

/// The byte ranges that generation blocks wrote; neighbours are one.
std::vector<std::pair<std::int64_t, std::int64_t>> generated(const Rendered& rendered) {
  std::vector<std::pair<std::int64_t, std::int64_t>> out;
  std::size_t begin = 0;
  for (const auto& stretch : rendered.stretches) {
    const auto from = static_cast<std::int64_t>(begin), to = static_cast<std::int64_t>(stretch.end);
    if (stretch.generated && !out.empty() && out.back().second == from)
      out.back().second = to;
    else if (stretch.generated)
      out.emplace_back(from, to);
    begin = stretch.end;
  }
  return out;
}

/// Renders and compares with a golden of {text, generated} or {error}; an error need not have Python's words.
void expect_golden(const Json& golden, const ChatTemplate& chat_template,
                   const std::vector<Message>& messages, const RenderOptions& how) {
  if (golden.contains("error")) {
    EXPECT_THROW(chat_template.render(messages, how), Error)
        << "Jinja2 says " << golden.at("error").as_string();
    return;
  }
  Rendered rendered;
  ASSERT_NO_THROW(rendered = chat_template.render(messages, how));
  EXPECT_EQ(rendered.text, golden.at("text").as_string());
  std::vector<std::pair<std::int64_t, std::int64_t>> blocks;
  if (const Json* spans = golden.find("generated")) {
    for (const Json& span : spans->as_array()) {
      if (span.at(0) == span.at(1)) continue;
      blocks.emplace_back(span.at(0).as_integer(), span.at(1).as_integer());
    }
  }
  EXPECT_EQ(generated(rendered), blocks);
  EXPECT_EQ(rendered.stretches.empty() ? 0 : rendered.stretches.back().end, rendered.text.size());
}

void run_cases(const std::string& origin, const std::map<std::string, ChatTemplate>& templates) {
  int seen = 0;
  for (const Json& golden : goldens().at("cases").as_array()) {
    if (golden.at("origin").as_string() != origin) continue;
    const std::string& name = golden.at("template").as_string();
    const std::string& conversation = golden.at("chat").as_string();
    SCOPED_TRACE(name + " on '" + conversation + "'");
    expect_golden(golden, templates.at(name), chat(conversation),
                  options(golden.at("prompt").as_bool(), conversation == "tool"));
    ++seen;
  }
  EXPECT_GE(seen, 100);
}

TEST(ChatTemplates, PublishedOnesRenderAsTransformersDoes) {
  const auto folder = testing::shared_data("templates");
  PREFER_NEEDS(folder);
  std::map<std::string, ChatTemplate> templates;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".jinja") continue;
    const std::string name = std::filesystem::relative(entry.path(), folder).string();
    templates.emplace(name, ChatTemplate(read(entry.path()), name));
  }
  run_cases("published", templates);
}

TEST(ChatTemplates, OwnOnesRenderAsTransformersDoes) {
  std::map<std::string, ChatTemplate> templates;
  for (const auto& [name, source] : goldens().at("own").as_object()) {
    templates.emplace(name, ChatTemplate(source.as_string(), name));
  }
  run_cases("own", templates);
}

TEST(ChatTemplates, LanguageMatchesJinja) {
  for (const Json& golden : goldens().at("snippets").as_array()) {
    SCOPED_TRACE(golden.at("source").as_string());
    try {
      expect_golden(golden, ChatTemplate(golden.at("source").as_string()), chat("system turns"),
                    options(false, false));
    } catch (const Error& error) {
      ADD_FAILURE() << error.what();
    }
  }
}

TEST(ChatTemplates, LettersChangeTheirCaseAsInPython) {
  std::string letters;
  for (const auto& [first, end] :
       {std::pair(0x20, 0x1C80), std::pair(0x1E00, 0x2000), std::pair(0xFB00, 0xFB18)})
    for (int code = first; code < end; ++code) utf8::append(letters, static_cast<char32_t>(code));
  const std::vector<Message> messages = {{"user", letters}};
  for (const Json& golden : goldens().at("letters").as_array()) {
    const std::string& source = golden.at("source").as_string();
    EXPECT_EQ(sha256(ChatTemplate(source).render(messages).text), golden.at("sha256").as_string()) << source;
  }
}

std::string render_error(const std::string& source, const TemplateLimits& limits = {}) {
  try {
    ChatTemplate(source, "t").render(chat("one"), options(false, false), limits);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(ChatTemplates, ErrorsNameTheConstructAndItsPlace) {
  EXPECT_EQ(render_error("a\n  {% include 'x' %}"), "t:2:6: statement include is not supported");
  EXPECT_EQ(render_error("{{ 1 }}\n{{ 'a' | urlize }}"), "t:2:10: filter urlize is not supported");
  EXPECT_EQ(render_error("{{ 1 is escapable }}"), "t:1:9: test escapable is not supported");
  EXPECT_EQ(render_error("\n{{ messages.append(1) }}"), "t:2:19: undefined (append) can't be called");
  EXPECT_EQ(render_error("{{ missing.x }}"), "t:1:11: undefined (missing) has no attribute x");
  EXPECT_EQ(render_error("{{ raise_exception('no!') }}"), "t:1:19: the template refuses: no!");
  EXPECT_EQ(render_error("{% for x in messages recursive %}"), "t:1:22: recursive loops are not supported");
  EXPECT_EQ(render_error("{% if true %}a"), "t:1:15: the template ends where endif is missing");
  EXPECT_EQ(render_error("{{ 'a' "), "t:1:1: the expression is not closed");
  EXPECT_EQ(render_error("{{ (1] }}"), "t:1:6: unexpected ]");
  EXPECT_EQ(render_error("{{ 1 / 0 }}"), "t:1:6: division by zero");
  EXPECT_EQ(render_error("{{ 'a' + 1 }}"), "t:1:8: a string + an integer is not possible");
  EXPECT_EQ(render_error("{{ 9223372036854775807 + 1 }}"), "t:1:24: the result of + does not fit 64 bits");
  EXPECT_EQ(render_error("{% set a = -9223372036854775807 - 1 %}{{ a // -1 }}"),
            "t:1:44: the result of - does not fit 64 bits");
  EXPECT_EQ(render_error("{{ '1e30' | int }}"), "t:1:13: int of 1e+30 does not fit 64 bits");
  EXPECT_EQ(render_error("{{ 'a' is odd }}"), "t:1:11: what is tested must be an integer, not a string");
}

TEST(ChatTemplates, LimitsHold) {
  const auto refused = [](const std::string& source, const std::string& why,
                          const TemplateLimits& limits = {}) {
    EXPECT_NE(render_error(source, limits).find(why), std::string::npos)
        << source << ": " << render_error(source, limits);
  };
  const std::string deep(500, '(');
  refused("{{ range(100001) }}", "range is longer than 100000");
  refused("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}", "steps",
          {.steps = 500'000});
  refused("{{ 'x' * 99999999999 }}", "bytes");
  refused("{{ [1] * 99999999999 }}", "steps");
  refused("{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
          "bytes");
  refused("{% set ns = namespace(l=[]) %}{% for i in range(999) %}{% set ns.l = [ns.l] %}{% endfor %}",
          "nest deeper");
  refused("{% set ns = namespace() %}{% set ns.me = ns %}", "namespace");
  refused("{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}", "macros call each other deeper than 64");
  refused("{{ " + deep + "1" + std::string(500, ')') + " }}", "nests deeper");
  for (const char* each : {"x|length", "x is lower", "x|int", "x|safe|length"})
    refused(std::string("{% set x = 'a' * 1000000 %}{% for i in range(999) %}{% set y = ") + each +
                " %}{% endfor %}",
            "steps", {.steps = 500'000});
  refused("{{ 'aaaa'.replace('', 'x' * 9000000) }}", "bytes");
  refused("{% set a = [0] * 8000 %}{{ ([a] * 8000) | tojson(indent=64) }}",
          "a text of more than 16777216 bytes");
  refused("{{ ([0] * 8000) | tojson(separators=('x' * 9000000, ':')) }}", "bytes");
  refused("{% for i in range(999) %}{{ 'x' * 1000 }}{% endfor %}", "the output is longer",
          {.output_bytes = 100'000});
  std::string sum = "{{ 1";
  for (int i = 0; i < 5000; ++i) sum += " + 1";
  refused(sum + " }}", "nests deeper");
  EXPECT_THROW(ChatTemplate(std::string((1 << 20) + 1, 'x')), Error);
}

TEST(ChatTemplates, BrokenOnesOnlyThrow) {
  const TemplateLimits small{.steps = 20'000, .output_bytes = 100'000};
  const std::string bits = "{}%#-+|()[]'\"\\.,:~ \nifnotend0\x80\xc3";
  std::mt19937 random(11);
  int rendered = 0, refused = 0;
  for (const Json& golden : goldens().at("snippets").as_array()) {
    for (int round = 0; round < 60; ++round) {
      std::string source = golden.at("source").as_string();
      for (int edit = 0; edit < 3 && !source.empty(); ++edit) {
        const std::size_t at = random() % source.size();
        if (random() % 2)
          source[at] = bits[random() % bits.size()];
        else
          source.erase(at, 1 + random() % 4);
      }
      try {
        ChatTemplate(source).render(chat("system turns"), options(false, false), small);
        ++rendered;
      } catch (const Error&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(rendered, 100);
  EXPECT_GT(refused, 100);
}

/// The bytes that came from message `source`, joined.
std::string from_message(const Rendered& rendered, std::int32_t source) {
  std::string out;
  std::size_t begin = 0;
  for (const auto& stretch : rendered.stretches) {
    if (stretch.source == source) out += rendered.text.substr(begin, stretch.end - begin);
    begin = stretch.end;
  }
  return out;
}

TEST(ChatTemplates, ContentKeepsItsOriginThroughEveryFunction) {
  const std::vector<Message> messages = {{"user", "  AbC|dEf\n"}, {"assistant", "xyz"}};
  const auto of_first = [&](const std::string& expression) {
    return from_message(ChatTemplate("<{{ " + expression + " }}>").render(messages), 0);
  };
  const std::string c = "messages[0].content";
  EXPECT_EQ(of_first(c), "  AbC|dEf\n");
  EXPECT_EQ(of_first("'[' + " + c + " | trim + ']'"), "AbC|dEf");
  EXPECT_EQ(of_first(c + "[3:5] ~ messages[1].content ~ 7"), "bC");
  EXPECT_EQ(of_first(c + ".split('|')[1].strip()"), "dEf");
  EXPECT_EQ(of_first(c + "[::-1]"), "\nfEd|CbA  ");
  EXPECT_EQ(of_first(c + " | upper | replace('B', 'bee')"), "  AC|DEF\n");
  EXPECT_EQ(of_first(c + " | tojson"), "  AbC|dEf\\n");
  EXPECT_EQ(of_first("messages | map(attribute='content') | join('+')"), "  AbC|dEf\n");
  EXPECT_EQ(of_first("('a\\n' ~ " + c + ") | indent(2)"), "  AbC|dEf");
  EXPECT_EQ(of_first("messages[0].role"), "");
  EXPECT_EQ(of_first("messages[0]"), "  AbC|dEf\\n");
  const std::string block = "{% set b %}[{{ " + c + " }}]{% endset %}{{ b | trim }}";
  EXPECT_EQ(from_message(ChatTemplate(block).render(messages), 0), "  AbC|dEf\n");
  const std::string macro =
      "{% macro f(x) %}<{{ x }}>{% endmacro %}{{ f(" + c + ") | length }}{{ f(messages[1].content) }}";
  EXPECT_EQ(from_message(ChatTemplate(macro).render(messages), 1), "xyz");
}

TEST(ChatTemplates, PartsOfTextAreOneTextWhereTheTemplateTakesNoneApart) {
  const auto rendered = [](const std::string& of_message, const std::string& parts) {
    const auto messages =
        messages_from_json(parse_json(R"([{"role": "user", "content": )" + parts + "}]", "m"));
    return ChatTemplate("{% for m in messages %}" + of_message + "{% endfor %}").render(messages);
  };
  const std::string two = R"([{"type": "text", "text": "Look"}, {"type": "text", "text": "here"}])";
  const Rendered whole = rendered("<{{ m.content }}>", two);
  EXPECT_EQ(whole.text, "<Lookhere>");
  EXPECT_EQ(from_message(whole, 0), "Lookhere");
  EXPECT_EQ(rendered("{% set text = m['content'] %}text {{ text | upper }}", two).text, "text LOOKHERE");
  EXPECT_EQ(rendered("{% for p in m.content %}[{{ p.text }}]{% endfor %}", two).text, "[Look][here]");
  EXPECT_EQ(rendered("{% for p in m.content %}[{{ p['text'] }}]{% endfor %}", two).text, "[Look][here]");
  EXPECT_EQ(rendered("{{ m.content | map(attribute='text') | join('+') }}", two).text, "Look+here");
  EXPECT_EQ(rendered("<{{ m.content }}>", R"([{"type": "image"}])").text, "<[{'type': 'image'}]>");
}

TEST(ChatTemplates, WithoutAClockStrftimeNowIsUndefined) {
  RenderOptions how = options(false, false);
  const ChatTemplate clock("{{ strftime_now('%Y') if strftime_now is defined else 'no clock' }}");
  EXPECT_EQ(clock.render({}, how).text, "2024");
  how.now.reset();
  EXPECT_EQ(clock.render({}, how).text, "no clock");
  EXPECT_EQ(testing::error_of([&] { ChatTemplate("{{ strftime_now('%Y') }}", "t").render({}, how); }),
            "t:1:16: undefined (strftime_now, which chat_template_date=YYYY-MM-DD defines) can't be called");
}

TemplateConfig given(const std::vector<std::string>& kwargs, std::optional<std::string> date = {}) {
  return {.chat_template_kwargs = kwargs, .chat_template_date = std::move(date)};
}

TEST(TemplateConfigs, GiveVariablesAndADate) {
  const TemplateConfig config =
      given({"think=false", "n=3", "day=26 Jul 2024", "year=2024-07-26", R"(many=["a", {"b": null}])",
             "none=", "equals=a=b", R"(text="3")", "large=99999999999999999999"},
            "2024-07-26");
  EXPECT_EQ(
      dump(config.variables()),
      R"({"think":false,"n":3,"day":"26 Jul 2024","year":"2024-07-26","many":["a",{"b":null}],"none":"",)"
      R"("equals":"a=b","text":"3","large":"99999999999999999999"})");
  EXPECT_EQ(config.now(), 1721952000);
  EXPECT_EQ(given({}).now(), std::nullopt);
  EXPECT_EQ(given({}, "1969-12-31").now(), -86400);
}

TEST(TemplateConfigs, ThatAreOfNoKnownFormAreRefused) {
  const auto error = [](const TemplateConfig& config) {
    return testing::error_of([&] { config.variables(), config.now(); });
  };
  EXPECT_EQ(error(given({"a"})), R"(chat_template_kwargs: "a" is not name=value)");
  EXPECT_EQ(error(given({R"({"a": "="})"})), R"(chat_template_kwargs: "{\"a\": \"=\"}" is not name=value)");
  EXPECT_EQ(error(given({"a=1", "a=2"})), R"(chat_template_kwargs: "a=2": a is given twice)");
  EXPECT_EQ(error(given({"tools=1"})),
            R"(chat_template_kwargs: "tools=1": tools is not for a config to set)");
  EXPECT_EQ(error(given({"a=False"})),
            R"(chat_template_kwargs: "a=False": a value is JSON, which has true, false and null, not False)");
  EXPECT_TRUE(error(given({"eos_token=</s>"})).ends_with("eos_token is not for a config to set"));
  EXPECT_TRUE(error(given({"a=[1"})).starts_with(R"(chat_template_kwargs: "a=[1":1:)"));
  EXPECT_TRUE(error(given({"a=[1"})).ends_with("; a text that begins like JSON is given as a JSON string"));
  for (const char* date : {"", "today", "2024-7-26", "2024-02-30", "2024-13-01", "2024-07-26 "})
    EXPECT_EQ(error(given({}, date)), "chat_template_date: " + quote(date) + " is no day as YYYY-MM-DD");
}

Message message(const std::string& json) {
  return messages_from_json(parse_json("[" + json + "]", "m")).at(0);
}

TEST(Messages, AreReadStrictly) {
  const auto error = [](const std::string& json) -> std::string {
    try {
      messages_from_json(parse_json(json, "m"));
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(error(R"([{"role": "user", "content": "x"}])"), "");
  EXPECT_EQ(error(R"([{"role": "user"}])"), "m:1:2: \"content\" is missing");
  EXPECT_EQ(error(R"([{"role": "a|b", "content": ""}])"),
            "m:1:11: role \"a|b\" is not 1 to 64 of [A-Za-z0-9_.-]");
  EXPECT_EQ(error("[3]"), "m:1:2: a message must be an object with role and content, not an integer");
  const auto shared = messages_from_json(
      parse_json(R"([{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}])", "m"));
  ASSERT_EQ(shared.size(), 2u);
  EXPECT_EQ(shared[0].role + shared[1].role, "userassistant");
  const std::pair<const char*, const char*> names[] = {
      {"human", "user"},       {"user", "user"},
      {"gpt", "assistant"},    {"chatgpt", "assistant"},
      {"bard", "assistant"},   {"assistant", "assistant"},
      {"system", "system"},    {"function_call", "assistant"},
      {"observation", "tool"}, {"tool", "tool"}};
  for (const auto& [from, role] : names)
    EXPECT_EQ(message(std::string(R"({"value": "", "from": ")") + from + "\"}").role, role);
  EXPECT_EQ(error(R"([{"from": "robot", "value": ""}])"),
            "m:1:11: from is \"robot\"; known are human, user, gpt, assistant, chatgpt, bard, system, "
            "function_call, observation, tool");
  EXPECT_EQ(role_of("developer"), Role::system);
  EXPECT_EQ(role_of("ipython"), Role::tool);
}

TEST(Messages, KeepTheOtherMembersOfATurnInEitherForm) {
  const Message shared = message(R"({"from": "gpt", "value": "a", "weight": 0, "id": "x"})");
  EXPECT_EQ(dump(shared.extra), R"({"weight":0,"id":"x"})");
  EXPECT_EQ(shared, message(R"({"role": "assistant", "content": "a", "weight": 0, "id": "x"})"));
}

TEST(Messages, LeaveOutWhatDataSetsFillIn) {
  const std::string filled = R"(, "tool_calls": null, "name": null, "weight": null})";
  EXPECT_TRUE(message(R"({"role": "user", "content": "a")" + filled).extra.is_null());
  EXPECT_TRUE(message(R"({"from": "human", "value": "a")" + filled).extra.is_null());
  EXPECT_TRUE(message(R"({"role": "user", "content": "a", "tool_calls": []})").extra.is_null());
  EXPECT_EQ(
      message(
          R"({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]})")
          .content,
      "ab");
  EXPECT_EQ(
      testing::error_of([&] { message(R"({"role": "assistant", "content": null, "tool_calls": []})"); }),
      "m:1:2: \"content\" is null");
  EXPECT_EQ(dump(message(R"({"role": "assistant", "content": null, "tool_calls": [{"id": "c"}]})").extra),
            R"({"content":null,"tool_calls":[{"id":"c"}]})");
  EXPECT_THROW(message(R"({"role": "assistant")" + filled), Error);
  EXPECT_THROW(message(R"({"role": "assistant", "tool_calls": []})"), Error);
}

}  // namespace
}  // namespace prefer
