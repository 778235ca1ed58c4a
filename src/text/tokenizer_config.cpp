// The files beside a tokenizer: which tokens begin, end and pad a text, and the chat template.
#include "prefer/core/error.hpp"
#include "prefer/core/lfs.hpp"
#include "tokenizer_parts.hpp"

#include <algorithm>
#include <charconv>
#include <set>
#include <string_view>

namespace prefer::text {
namespace {

constexpr std::uint64_t kMaxConfig = 16 << 20;  // added_tokens_decoder may be long
constexpr std::uint64_t kMaxTemplate = 1 << 20;

// Reads a file that may be missing, and keeps its bytes for the folder that a model is saved to.
std::optional<std::string> read_optional(Fs& fs, const std::string& folder, const std::string& name,
                                         std::uint64_t cap, TokenizerParts& parts) {
  const std::string path = join_path(folder, name);
  if (!fs.exists(path)) return std::nullopt;
  return parts.files[name] = read_model_file(fs, path, cap);
}

AddedToken read_token(const Json& json) {
  AddedToken token;
  token.content = json.at("content").as_string();
  token.single_word = flag_or(json, "single_word", false);
  token.lstrip = flag_or(json, "lstrip", false);
  token.rstrip = flag_or(json, "rstrip", false);
  token.special = flag_or(json, "special", false);
  token.normalized = flag_or(json, "normalized", !token.special);
  return token;
}

// added_tokens_decoder: {"32000": {"content": ...}}; what the tokenizer's own file lacks is added.
void read_added_decoder(const Json& json, TokenizerParts& parts) {
  if (json.is_null()) return;
  for (const auto& [key, entry] : json.as_object()) {
    AddedToken token = read_token(entry);
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), token.id);
    if (error != std::errc() || end != key.data() + key.size() || token.id < 0)
      entry.fail_here("added_tokens_decoder wants ids as keys, not ", quote(key));
    parts.add(token, entry.place());
  }
}

// The content of a token, which is a string or {"content": ...}.
const std::string& content_of(const Json& token) {
  return token.is_string() ? token.as_string() : token.at("content").as_string();
}

// Calls `take` with the tokens that config and map name beside BOS, EOS, unknown and padding.
template <class Take>
void for_each_other_token(const Json& config, const Json& map, const Take& take) {
  for (const Json* json : {&config, &map}) {
    for (const char* key : {"sep_token", "cls_token", "mask_token"})
      if (const Json& token = member(*json, key); !token.is_null()) take(token);
    for (const char* key : {"additional_special_tokens", "extra_special_tokens"}) {
      const Json& all = member(*json, key);  // a list, or an object that names each
      if (all.is_array()) std::ranges::for_each(all.as_array(), take);
      if (!all.is_object()) continue;
      for (const auto& [name, token] : all.as_object()) take(token);
    }
  }
}

// What any of the files beside names as a token with a meaning.
std::set<std::string> named_tokens(const Json& config, const Json& map) {
  std::set<std::string> names;
  const auto insert = [&](const Json& token) { names.insert(content_of(token)); };
  for (const Json* json : {&config, &map})
    for (const char* key : {"bos_token", "eos_token", "unk_token", "pad_token"})
      if (const Json& token = member(*json, key); !token.is_null()) insert(token);
  for_each_other_token(config, map, insert);
  return names;
}

// added_tokens.json: {"<|im_start|>": 32000}; those are special that `named` has, as in transformers, or that
// are so already.
void read_added_tokens(const Json& json, const std::set<std::string>& named, TokenizerParts& parts) {
  for (const auto& [content, id] : json.as_object()) {
    const auto known = parts.vocabulary.find(content);
    AddedToken token{.content = content};
    token.id = checked_id(content, id.as_integer(), id.place());
    token.special = named.contains(content) || (known && parts.vocabulary.is_special(*known));
    token.normalized = !token.special;
    parts.add(token, id.place());
  }
}

// What the config says, or else the map.
const Json& said_first(const Json& config, const Json& map, const char* key) {
  const Json& first = member(config, key);
  return first.is_null() ? member(map, key) : first;
}

// Makes a token, a string or {"content": ...}, special where the vocabulary has it.
std::optional<std::int32_t> make_special(const Json& value, TokenizerParts& parts) {
  AddedToken token;
  if (value.is_string()) {
    token.content = value.as_string();
  } else {
    token = read_token(value);
  }
  const auto id = parts.vocabulary.find(token.content);
  if (!id) return std::nullopt;
  token.id = *id;
  token.special = true;
  token.normalized = false;
  parts.add(token, value.place());
  return id;
}

void read_named_token(const Json& config, const Json& map, const char* key, TokenizerParts& parts,
                      std::optional<std::int32_t>& id) {
  const Json& value = said_first(config, map, key);
  if (value.is_null()) return;
  id = make_special(value, parts);
  if (!id) value.fail_here(key, " is ", quote(content_of(value)), ", which is not in the vocabulary");
}

// A string, or a list of {"name", "template"} of which "default" counts.
std::string read_template(const Json& json) {
  if (json.is_null()) return "";
  if (json.is_string()) return json.as_string();
  if (!json.is_array())
    json.fail_here("chat_template is a text or a list of named texts, not ", json.type_name());
  for (const Json& entry : json.as_array())
    if (entry.at("name").as_string() == "default") return entry.at("template").as_string();
  json.fail_here("none of the chat templates is named \"default\"");
}

}  // namespace

void apply_config(const Json& config, const Json& map, TokenizerParts& parts) {
  read_added_decoder(member(config, "added_tokens_decoder"), parts);
  read_named_token(config, map, "bos_token", parts, parts.bos);
  read_named_token(config, map, "eos_token", parts, parts.eos);
  read_named_token(config, map, "pad_token", parts, parts.pad);
  read_named_token(config, map, "unk_token", parts, parts.unk);
  // Content must not spell these either.
  for_each_other_token(config, map, [&](const Json& token) { make_special(token, parts); });
  parts.adds_bos = flag_or(config, "add_bos_token", parts.adds_bos) && parts.bos;
  parts.chat_template = read_template(member(config, "chat_template"));
  parts.chat_template_name = member(config, "chat_template").place() + ": chat_template";
}

void read_config_beside(Fs& fs, const std::string& folder, TokenizerParts& parts) {
  const auto json_of = [&](const std::string& name) {
    const auto text = read_optional(fs, folder, name, kMaxConfig, parts);
    return text ? parse_json(*text, join_path(folder, name), JsonLimits::model_file()) : Json::object();
  };
  const Json config = json_of("tokenizer_config.json"), map = json_of("special_tokens_map.json");
  if (parts.files.contains("tokenizer.model") && member(config, "added_tokens_decoder").is_null())
    read_added_tokens(json_of("added_tokens.json"), named_tokens(config, map), parts);
  apply_config(config, map, parts);
  if (auto source = read_optional(fs, folder, "chat_template.jinja", kMaxTemplate, parts))
    parts.chat_template = std::move(*source),
    parts.chat_template_name = join_path(folder, "chat_template.jinja");
  parts.vocabulary.check_dense(folder);
}

void set_pad_token(const std::string& token, std::map<std::string, std::string>& files) {
  // transformers 4 may prefer the map, which need not be there.
  for (const char* name : {"tokenizer_config.json", "special_tokens_map.json"}) {
    const auto found = files.find(name);
    const bool is_config = std::string_view(name) == "tokenizer_config.json";
    if (found == files.end() && !is_config) continue;
    Json json =
        found == files.end() ? Json::object() : parse_json(found->second, name, JsonLimits::model_file());
    json.set("pad_token", token);
    files[name] = dump(json, 2) + "\n";
  }
}

}  // namespace prefer::text
