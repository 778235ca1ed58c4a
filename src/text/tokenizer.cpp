// The tokenizer: its parts put to work, and the choice of a reader.
#include "prefer/text/tokenizer.hpp"

#include "prefer/core/error.hpp"
#include "prefer/core/gguf.hpp"
#include "prefer/core/lfs.hpp"
#include "prefer/text/model_path.hpp"
#include "prefer/text/utf8.hpp"
#include "tokenizer_parts.hpp"

#include <utility>

namespace prefer {
namespace {

constexpr std::size_t kMaxText = std::size_t{1} << 30;  // positions inside a text are 32 bits wide
constexpr std::uint64_t kMaxFile = 64 << 20;

void encode_stretch(const TokenizerParts& parts, std::string_view text, bool begins_input,
                    std::vector<std::int32_t>& ids) {
  std::vector<text::PieceToken> tokens;
  text::pre_tokenized(parts.pre_tokenizers, text, begins_input).for_each([&](std::string_view piece) {
    tokens.clear();
    parts.model->encode(piece, tokens);
    for (const text::PieceToken& token : tokens) ids.push_back(token.id);
  });
}

}  // namespace

void TokenizerParts::add(const text::AddedToken& given, const std::string& place) {
  const auto known = vocabulary.find(given.content);
  if (!known) {
    vocabulary.add(given.content, given.id, place);
    vocabulary.mark_added(given.id);
  } else if (*known != given.id) {
    fail(place, ": token ", quote(given.content), " has two ids, ", *known, " and ", given.id);
  }
  text::AddedToken token = given;
  token.special = token.special || vocabulary.is_special(token.id);
  std::string normal;
  if (token.special || token.normalized) normal = normalised(token.content, true);
  // Also where it was added before, as not special: plain text would spell it there.
  if (token.special) {
    vocabulary.mark_special(token.id);
    raw.mark_special(token.id, token.content);
    normalized.mark_special(token.id, normal);
  }
  if (token.normalized) normalized.add(token, normal);
  if (!token.normalized) raw.add(token, token.content);
}

std::string TokenizerParts::normalised(std::string_view text, bool begins_input) const {
  return text::normalised(normalizers, text, begins_input);
}

Tokenizer::Tokenizer(std::unique_ptr<const TokenizerParts> parts) : parts_(std::move(parts)) {}
Tokenizer::~Tokenizer() = default;

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, Specials specials) const {
  if (text.size() > kMaxText)
    fail("a text of ", text.size(), " bytes to encode; at most ", kMaxText, " are allowed");
  std::string valid;
  if (!utf8::is_valid(text)) text = valid = utf8::mended(text);
  std::vector<std::int32_t> ids;
  bool begins_input = true;
  for (const text::Segment& segment : parts_->raw.split(text, specials)) {
    if (segment.id >= 0) {
      ids.push_back(segment.id);
    } else {
      const std::string normal = parts_->normalised(segment.text, begins_input);
      bool first = begins_input;
      for (const text::Segment& part : parts_->normalized.split(normal, specials)) {
        if (part.id >= 0) ids.push_back(part.id);
        if (part.id < 0) encode_stretch(*parts_, part.text, first, ids);
        first = false;
      }
    }
    begins_input = false;
  }
  return ids;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  text::Decoding decoding(parts_->decoders);
  std::string out;
  for (const std::int32_t id : ids)
    if (const std::string& piece = token(id); !(skip_special && is_special(id))) out += decoding.feed(piece);
  return out += decoding.flush();
}

std::int32_t Tokenizer::vocab_size() const { return parts_->vocabulary.size(); }
std::optional<std::int32_t> Tokenizer::bos() const { return parts_->bos; }
std::optional<std::int32_t> Tokenizer::eos() const { return parts_->eos; }
std::optional<std::int32_t> Tokenizer::pad() const { return parts_->pad; }
std::optional<std::int32_t> Tokenizer::unk() const { return parts_->unk; }
bool Tokenizer::adds_bos() const { return parts_->adds_bos; }
const std::string& Tokenizer::chat_template() const { return parts_->chat_template; }
const std::string& Tokenizer::chat_template_name() const { return parts_->chat_template_name; }
std::map<std::string, std::string> Tokenizer::files() const { return parts_->files; }
std::map<std::string, std::string> Tokenizer::files_padding_with(std::int32_t id) const {
  auto files = parts_->files;
  if (id != pad()) text::set_pad_token(token(id), files);
  return files;
}

bool Tokenizer::is_special(std::int32_t id) const {
  return parts_->vocabulary.contains(id) && parts_->vocabulary.is_special(id);
}

const std::string& Tokenizer::token(std::int32_t id) const {
  if (!parts_->vocabulary.contains(id))
    fail("token id ", id, " of a vocabulary with ids from 0 to ", vocab_size() - 1);
  return parts_->vocabulary.token(id);
}

std::optional<std::int32_t> Tokenizer::id(std::string_view token) const {
  return parts_->vocabulary.find(token);
}

struct StreamDecoder::State {
  std::shared_ptr<const Tokenizer> tokenizer;
  bool skip_special;
  text::Decoding decoding;
};

StreamDecoder::StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special) {
  text::Decoding decoding(tokenizer->parts_->decoders);
  state_ = std::make_unique<State>(State{std::move(tokenizer), skip_special, std::move(decoding)});
}
StreamDecoder::~StreamDecoder() = default;
StreamDecoder::StreamDecoder(StreamDecoder&&) noexcept = default;
StreamDecoder& StreamDecoder::operator=(StreamDecoder&&) noexcept = default;

std::string StreamDecoder::feed(std::int32_t id) {
  const std::string& token = state_->tokenizer->token(id);
  if (state_->skip_special && state_->tokenizer->is_special(id)) return "";
  return state_->decoding.feed(token);
}

std::string StreamDecoder::flush() { return state_->decoding.flush(); }

std::shared_ptr<const Tokenizer> parse_tokenizer(std::string_view tokenizer_json, const std::string& name) {
  auto parts = text::read_tokenizer_json(parse_json(tokenizer_json, name), name);
  parts->files["tokenizer.json"] = tokenizer_json;
  return std::make_shared<Tokenizer>(std::move(parts));
}

namespace {

text::PartsPtr read_bytes(std::string bytes, const std::string& path) {
  const auto start = bytes.find_first_not_of(" \t\r\n");
  const bool json = path.ends_with(".json") || (start != std::string::npos && bytes[start] == '{');
  auto parts =
      json ? text::read_tokenizer_json(parse_json(bytes, path), path) : text::read_sentencepiece(bytes, path);
  parts->files[json ? "tokenizer.json" : "tokenizer.model"] = std::move(bytes);
  return parts;
}

/// Whether a file may be a tokenizer alone: no weights, and no other part of a model's folder.
bool may_be_a_tokenizer(Fs& fs, const std::string& file) {
  if (file.ends_with(".safetensors") || file.ends_with(".bin")) return false;
  if (file.ends_with("tokenizer.json") || file.ends_with(".model")) return true;
  return !fs.exists(join_path(parent_directory(file), "config.json"));
}

std::string tokenizer_file(Fs& fs, const std::string& folder) {
  for (const char* name : {"tokenizer.json", "tokenizer.model"})
    if (const std::string path = join_path(folder, name); fs.exists(path)) return path;
  refuse_a_runs_folder(fs, folder);
  fail(folder, ": neither tokenizer.json nor tokenizer.model is in this folder");
}

}  // namespace

std::shared_ptr<const Tokenizer> load_tokenizer(const std::string& path) {
  PosixFs fs;
  return load_tokenizer(fs, path);
}

std::shared_ptr<const Tokenizer> load_tokenizer(Fs& fs, const std::string& path) {
  const auto status = fs.status(path);
  if (!status) no_such_model(fs, path, ", a tokenizer alone also a tokenizer.json or a .model");
  const std::string file = status->kind == FileKind::directory ? tokenizer_file(fs, path) : path;
  if (is_gguf(fs, file)) return std::make_shared<Tokenizer>(text::read_tokenizer_gguf(fs, file));
  if (status->kind != FileKind::directory && !may_be_a_tokenizer(fs, file)) refuse_a_file(fs, file);
  auto parts = read_bytes(read_model_file(fs, file, kMaxFile), file);
  text::read_config_beside(fs, parent_directory(file), *parts);
  return std::make_shared<Tokenizer>(std::move(parts));
}

}  // namespace prefer
