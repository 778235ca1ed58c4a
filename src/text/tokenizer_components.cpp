// The components of tokenizer.json other than its model, each read into a few steps.
#include "tokenizer_parts.hpp"

#include <utility>

namespace prefer::text {
namespace {

const Json kNull;

[[noreturn]] void not_implemented(const Json& json, const char* what, const char* known) {
  json.at("type").fail_here(what, " ", quote(json.at("type").as_string()), " is not implemented; known are ",
                            known);
}

Pattern read_pattern(const Json& json) {
  if (const Json* text = json.find("String")) return Pattern::literal(text->as_string());
  const Json* expression = json.find("Regex");
  if (!expression) json.fail_here("a pattern is {\"String\": ...} or {\"Regex\": ...}");
  return Pattern::regex(expression->as_string(), expression->place());
}

Cut::Behavior read_behavior(const Json& json) {
  const std::string& name = json.as_string();
  if (name == "Removed") return Cut::Behavior::removed;
  if (name == "Isolated") return Cut::Behavior::isolated;
  if (name == "MergedWithPrevious") return Cut::Behavior::merged_with_previous;
  if (name == "MergedWithNext") return Cut::Behavior::merged_with_next;
  if (name == "Contiguous") return Cut::Behavior::contiguous;
  json.fail_here(
      "behavior ", quote(name),
      " is not known; known are Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous");
}

// Metaspace's scheme; the older add_prefix_space: false means never.
std::string metaspace_scheme(const Json& json) {
  if (!flag_or(json, "add_prefix_space", true)) return "never";
  const Json& scheme = member(json, "prepend_scheme");
  if (scheme.is_null()) return "always";
  const std::string& name = scheme.as_string();
  if (name != "always" && name != "first" && name != "never")
    scheme.fail_here("prepend_scheme ", quote(name), " is not known; known are always, first, never");
  return name;
}

void read_metaspace(const Json& json, std::vector<PreStep>& steps) {
  const std::string replacement = json.at("replacement").as_string();
  steps.push_back(Rewrite(Substitute{Pattern::literal(" "), replacement}));
  const std::string scheme = metaspace_scheme(json);
  if (scheme != "never") {
    const auto when = scheme == "first" ? Prefix::When::first : Prefix::When::always;
    steps.push_back(Rewrite(Prefix{replacement, when, true}));
  }
  if (flag_or(json, "split", true))
    steps.push_back(Cut{Pattern::literal(replacement), Cut::Behavior::merged_with_next, false});
}

void read_byte_level(const Json& json, std::vector<PreStep>& steps) {
  if (flag_or(json, "add_prefix_space", true))
    steps.push_back(Rewrite(Prefix{" ", Prefix::When::always, true}));
  if (flag_or(json, "use_regex", true))
    steps.push_back(Cut{Pattern::regex(kGpt2Pattern), Cut::Behavior::isolated, false});
  steps.push_back(Rewrite(ByteLetters{}));
}

std::size_t count_of(const Json& json) {
  const auto count = json.as_integer();
  if (count < 0 || count > 1024) json.fail_here("a count from 0 to 1024 is wanted, not ", count);
  return static_cast<std::size_t>(count);
}

}  // namespace

const char* const kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

bool flag_or(const Json& json, std::string_view key, bool otherwise) {
  const Json& value = member(json, key);
  return value.is_null() ? otherwise : value.as_bool();
}

const Json& member(const Json& json, std::string_view key) {
  const Json* value = json.find(key);
  return value ? *value : kNull;
}

void read_normalizer(const Json& json, std::vector<Rewrite>& steps) {
  if (json.is_null()) return;
  const std::string& type = json.at("type").as_string();
  if (type == "Sequence") {
    for (const Json& step : json.at("normalizers").as_array()) read_normalizer(step, steps);
  } else if (type == "NFC") {
    steps.push_back(Nfc{});
  } else if (type == "Lowercase") {
    steps.push_back(Lowercase{});
  } else if (type == "Strip") {
    steps.push_back(StripSpace{flag_or(json, "strip_left", true), flag_or(json, "strip_right", true)});
  } else if (type == "Prepend") {
    steps.push_back(Prefix{json.at("prepend").as_string(), Prefix::When::always, false});
  } else if (type == "Replace") {
    steps.push_back(Substitute{read_pattern(json.at("pattern")), json.at("content").as_string()});
  } else {
    not_implemented(json, "normalizer", "NFC, Lowercase, Strip, Prepend, Replace, Sequence");
  }
}

void read_pre_tokenizer(const Json& json, std::vector<PreStep>& steps) {
  if (json.is_null()) return;
  const std::string& type = json.at("type").as_string();
  if (type == "Sequence") {
    for (const Json& step : json.at("pretokenizers").as_array()) read_pre_tokenizer(step, steps);
  } else if (type == "ByteLevel") {
    read_byte_level(json, steps);
  } else if (type == "Split") {
    steps.push_back(Cut{read_pattern(json.at("pattern")), read_behavior(json.at("behavior")),
                        flag_or(json, "invert", false)});
  } else if (type == "Digits") {
    const bool each = flag_or(json, "individual_digits", false);
    steps.push_back(
        Cut{Pattern::regex(R"(\p{N})"), each ? Cut::Behavior::isolated : Cut::Behavior::contiguous, false});
  } else if (type == "Metaspace") {
    read_metaspace(json, steps);
  } else {
    not_implemented(json, "pre_tokenizer", "ByteLevel, Split, Digits, Metaspace, Sequence");
  }
}

void read_decoder(const Json& json, std::vector<DecodeStep>& steps) {
  if (json.is_null()) return;
  const std::string& type = json.at("type").as_string();
  if (type == "Sequence") {
    for (const Json& step : json.at("decoders").as_array()) read_decoder(step, steps);
  } else if (type == "ByteLevel") {
    steps.push_back(FromByteLetters{});
  } else if (type == "Replace") {
    steps.push_back(ReplaceInToken{read_pattern(json.at("pattern")), json.at("content").as_string()});
  } else if (type == "ByteFallback") {
    steps.push_back(FromByteTokens{});
  } else if (type == "Fuse") {
    steps.push_back(Fuse{});
  } else if (type == "Strip") {
    steps.push_back(
        StripToken{json.at("content").as_string(), count_of(json.at("start")), count_of(json.at("stop"))});
  } else if (type == "Metaspace") {
    steps.push_back(FromMetaspace{json.at("replacement").as_string(), metaspace_scheme(json) != "never"});
  } else {
    not_implemented(json, "decoder", "ByteLevel, Replace, ByteFallback, Fuse, Strip, Metaspace, Sequence");
  }
}

std::optional<std::string> read_post_processor(const Json& json) {
  if (json.is_null()) return std::nullopt;
  const std::string& type = json.at("type").as_string();
  std::optional<std::string> found;
  if (type == "Sequence") {
    for (const Json& step : json.at("processors").as_array())
      if (auto token = read_post_processor(step)) found = std::move(token);
  } else if (type == "TemplateProcessing") {
    const auto& single = json.at("single").as_array();
    if (const Json* first = single.empty() ? nullptr : single.front().find("SpecialToken"))
      found = first->at("id").as_string();
  } else if (type != "ByteLevel") {
    not_implemented(json, "post_processor", "TemplateProcessing, ByteLevel, Sequence");
  }
  return found;
}

std::vector<DecodeStep> sentencepiece_decoders(std::size_t leading_spaces) {
  std::vector<DecodeStep> steps;
  steps.push_back(ReplaceInToken{Pattern::literal("\u2581"), " "});
  steps.push_back(FromByteTokens{});
  steps.push_back(Fuse{});
  if (leading_spaces > 0) steps.push_back(StripToken{" ", leading_spaces, 0});
  return steps;
}

}  // namespace prefer::text
