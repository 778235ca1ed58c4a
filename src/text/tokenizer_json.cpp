// tokenizer.json, the format of Hugging Face tokenizers, with a BPE model.
#include "prefer/core/error.hpp"
#include "tokenizer_parts.hpp"

#include <utility>

namespace prefer::text {
namespace {

void read_vocabulary(const Json& model, Vocabulary& vocabulary) {
  const Json& vocab = model.at("vocab");
  if (vocab.size() > kMaxVocabulary)
    vocab.fail_here("a vocabulary of ", vocab.size(), " tokens; at most ", kMaxVocabulary, " are allowed");
  for (const auto& [token, id] : vocab.as_object()) vocabulary.add(token, id.as_integer(), id.place());
}

// "a b", as older files write a merge; the space stands between the two, and neither is empty.
std::pair<std::string_view, std::string_view> halves(const Json& merge) {
  const std::string_view text = merge.as_string();
  const auto space = text.find(' ');
  if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos)
    merge.fail_here("a merge is two tokens with one space between them, not ", quote(text));
  return {text.substr(0, space), text.substr(space + 1)};
}

Merge read_merge(const Json& json, const Vocabulary& vocabulary) {
  std::pair<std::string_view, std::string_view> pair;
  if (json.is_string()) {
    pair = halves(json);
  } else {
    if (json.size() != 2) json.fail_here("a merge is two tokens, not ", json.size());
    pair = {json.at(std::size_t{0}).as_string(), json.at(std::size_t{1}).as_string()};
  }
  const auto id_of = [&](const std::string& token) {
    const auto id = vocabulary.find(token);
    if (!id) json.fail_here("the merge names ", quote(token), ", which is not in the vocabulary");
    return *id;
  };
  const std::string left(pair.first), right(pair.second);
  return {id_of(left), id_of(right), id_of(left + right)};
}

std::vector<Merge> read_merges(const Json& json, const Vocabulary& vocabulary) {
  if (json.size() > kMaxMerges) json.fail_here(json.size(), " merges; at most ", kMaxMerges, " are allowed");
  std::vector<Merge> merges;
  merges.reserve(json.size());
  for (const Json& merge : json.as_array()) merges.push_back(read_merge(merge, vocabulary));
  return merges;
}

void refuse_what_is_missing(const Json& model) {
  const Json& type = member(model, "type");
  if (!type.is_null() && type.as_string() != "BPE")
    type.fail_here("model ", quote(type.as_string()), " is not implemented; known is BPE");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (const Json& affix = member(model, key); !affix.is_null() && !affix.as_string().empty())
      affix.fail_here(key, " is not implemented");
  if (const Json& dropout = member(model, "dropout"); !dropout.is_null() && dropout.as_number() != 0)
    dropout.fail_here("dropout is not implemented: ids would be random");
}

void read_model(const Json& model, TokenizerParts& parts) {
  Unknown unknown;
  if (const Json& token = member(model, "unk_token"); !token.is_null()) {
    unknown.id = parts.vocabulary.find(token.as_string());
    if (!unknown.id) token.fail_here("unk_token ", quote(token.as_string()), " is not in the vocabulary");
  }
  unknown.fuse = flag_or(model, "fuse_unk", false);
  unknown.byte_fallback = flag_or(model, "byte_fallback", false);
  parts.unk = unknown.id;
  parts.model = ranked_bpe(parts.vocabulary, read_merges(model.at("merges"), parts.vocabulary), unknown,
                           flag_or(model, "ignore_merges", false));
}

void read_added_tokens(const Json& json, TokenizerParts& parts) {
  if (json.is_null()) return;
  for (const Json& entry : json.as_array()) {
    AddedToken token;
    token.content = entry.at("content").as_string();
    token.id = checked_id(token.content, entry.at("id").as_integer(), entry.place());
    token.single_word = flag_or(entry, "single_word", false);
    token.lstrip = flag_or(entry, "lstrip", false);
    token.rstrip = flag_or(entry, "rstrip", false);
    token.special = flag_or(entry, "special", false);
    token.normalized = flag_or(entry, "normalized", !token.special);
    parts.add(token, entry.place());
  }
}

}  // namespace

PartsPtr read_tokenizer_json(const Json& json, const std::string& name) {
  const Json& model = json.at("model");
  refuse_what_is_missing(model);
  auto parts = std::make_unique<TokenizerParts>();
  read_normalizer(member(json, "normalizer"), parts->normalizers);
  read_pre_tokenizer(member(json, "pre_tokenizer"), parts->pre_tokenizers);
  read_decoder(member(json, "decoder"), parts->decoders);
  if (parts->decoders.empty()) parts->decoders.push_back(JoinBySpace{});
  read_vocabulary(model, parts->vocabulary);
  read_added_tokens(member(json, "added_tokens"), *parts);
  parts->vocabulary.check_dense(name);
  read_model(model, *parts);
  if (const auto bos = read_post_processor(member(json, "post_processor"))) {
    parts->bos = parts->vocabulary.find(*bos);
    if (!parts->bos)
      fail(name, ": the post_processor adds ", quote(*bos), ", which is not in the vocabulary");
    parts->adds_bos = true;
  }
  return parts;
}

}  // namespace prefer::text
