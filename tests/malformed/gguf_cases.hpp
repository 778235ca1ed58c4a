// Malformed GGUF files.
#pragma once

#include "tests/malformed/malformed.hpp"

namespace prefer::testing {

/// A case of model.gguf.
inline Malformed gguf_case(const std::string& name, const std::string& bytes, const std::string& line,
                           Seen seen = Seen::by_readers) {
  return {name, "score", line, {{"model.gguf", bytes}}, {"model=@/model.gguf"}, seen};
}
inline Malformed gguf_case(const std::string& name, const Gguf& file, const std::string& line) {
  return gguf_case(name, file.bytes, line);
}

/// Headers that lie.
/// A sentencepiece model of so many pieces, each of `length` letters.
inline Gguf long_pieces(std::size_t count, std::size_t length) {
  std::vector<std::string> pieces;
  for (std::size_t i = 0; i < count; ++i)
    pieces.push_back(std::string(1, static_cast<char>('a' + i)) + std::string(length - 1, 'z'));
  return Gguf()
      .head(0, 3)
      .string("tokenizer.ggml.model", "llama")
      .strings("tokenizer.ggml.tokens", pieces)
      .integers("tokenizer.ggml.scores", std::vector<std::int32_t>(count));
}

inline std::vector<Malformed> gguf_header_cases() {
  const auto key = [](std::uint32_t type) { return Gguf().head(0, 1).key("k", type); };
  const std::uint64_t huge = std::uint64_t{1} << 62;
  return {
      gguf_case("gguf_of_another_version", Gguf().head(0, 0, 1),
                R"(@/model.gguf: byte 8: GGUF version 1; versions read are 2 and 3, little-endian)"),
      gguf_case(
          "gguf_big_endian", Gguf().head(0, 0, 0x03000000),
          R"(@/model.gguf: byte 8: GGUF version 50331648 (big-endian); versions read are 2 and 3, little-endian)"),
      gguf_case("gguf_cut_in_the_version", std::string("GGUF\3"),
                R"(@/model.gguf: byte 4: the version needs 4 bytes, but only 1 are left)"),
      gguf_case("gguf_too_many_tensors", Gguf().head(65537, 0),
                R"(@/model.gguf: byte 16: 65537 tensors; at most 65536)"),
      gguf_case("gguf_too_many_keys", Gguf().head(0, std::uint64_t{1} << 60),
                R"(@/model.gguf: byte 24: 1152921504606846976 keys; at most 65536)"),
      gguf_case("gguf_keys_missing", Gguf().head(0, 1),
                R"(@/model.gguf: byte 24: a key needs 8 bytes, but only 0 are left)"),
      gguf_case("gguf_key_of_2_to_the_63", Gguf().head(0, 1).number(std::uint64_t{1} << 63),
                R"(@/model.gguf: byte 32: a key has 9223372036854775808 bytes; at most 65536)"),
      gguf_case("gguf_type_out_of_range", key(13),
                R"(@/model.gguf: byte 37: the key "k" has the unknown type 13)"),
      gguf_case("gguf_boolean_of_two", key(7).number(std::uint8_t{2}),
                R"(@/model.gguf: byte 38: the key "k" holds a boolean that is neither 0 nor 1)"),
      gguf_case("gguf_string_of_2_to_the_40", key(8).number(std::uint64_t{1} << 40),
                R"(@/model.gguf: byte 45: a string of a value has 1099511627776 bytes; at most 16777216)"),
      gguf_case("gguf_string_beyond_the_file", key(8).number(std::uint64_t{100}),
                R"(@/model.gguf: byte 45: a string of a value needs 100 bytes, but only 0 are left)"),
      gguf_case("gguf_array_of_arrays", key(9).number(9u).number(std::uint64_t{1}),
                R"(@/model.gguf: byte 41: the key "k" is an array of arrays)"),
      gguf_case("gguf_array_of_2_to_the_62", key(9).number(4u).number(huge),
                R"(@/model.gguf: byte 49: 4611686018427387904 items; at most 16777216)"),
      gguf_case("gguf_array_beyond_the_file", key(9).number(8u).number(std::uint64_t{1000}),
                R"(@/model.gguf: byte 49: the array "k" needs 8000 bytes, but only 0 are left)"),
      gguf_case("gguf_key_twice", Gguf().head(0, 2).integer("k", 1).integer("k", 1),
                R"(@/model.gguf: byte 58: the key "k" stands twice)"),
      gguf_case("gguf_alignment_zero", Gguf().head(0, 1).integer("general.alignment", 0),
                R"(@/model.gguf: general.alignment is a power of two up to 65536, not 0)"),
      gguf_case("gguf_alignment_three", Gguf().head(0, 1).integer("general.alignment", 3),
                R"(@/model.gguf: general.alignment is a power of two up to 65536, not 3)"),
      gguf_case("gguf_alignment_is_a_text", Gguf().head(0, 1).string("general.alignment", "32"),
                R"(@/model.gguf: general.alignment: expected an integer, found a value of type string)"),
  };
}

inline std::vector<Malformed> gguf_tensor_cases() {
  const auto one = [](const char* name, std::vector<std::int64_t> ne, std::uint32_t type,
                      std::uint64_t offset, std::size_t data, const char* line) {
    return gguf_case(name, Gguf().head(1, 0).tensor("w", ne, type, offset).data(data), line);
  };
  const auto two = [](const char* name, const char* second, std::uint64_t offset, const char* line) {
    return gguf_case(name, Gguf().head(2, 0).tensor("a", {16}, 0, 0).tensor(second, {8}, 0, offset).data(96),
                     line);
  };
  const std::int64_t huge = std::int64_t{1} << 62;
  return {
      one("gguf_tensor_cut_off", {32, 2}, 2, 0, 35,
          R"(@/model.gguf: tensor "w": byte 0 of the data: needs 36 bytes, beyond the end of the file)"),
      one("gguf_tensor_of_part_blocks", {31, 2}, 2, 0, 36,
          R"(@/model.gguf: byte 65: tensor "w": rows of 31 elements are no whole blocks of Q4_0, which hold 32)"),
      one("gguf_tensor_not_aligned", {8}, 0, 4, 64,
          R"(@/model.gguf: tensor "w": byte 4 of the data: is not aligned to 32)"),
      one("gguf_tensor_before_the_file", {8}, 0, std::uint64_t(-32), 64,
          R"(@/model.gguf: tensor "w": byte 18446744073709551584 of the data: needs 32 bytes, beyond the end of the file)"),
      one("gguf_tensor_behind_the_file", {8}, 0, std::uint64_t{1} << 40, 64,
          R"(@/model.gguf: tensor "w": byte 1099511627776 of the data: needs 32 bytes, beyond the end of the file)"),
      one("gguf_tensor_of_dimension_zero", {0}, 0, 0, 64,
          R"(@/model.gguf: byte 45: tensor "w": a dimension of 0)"),
      one("gguf_tensor_of_a_negative_dimension", {-1}, 0, 0, 64,
          R"(@/model.gguf: byte 45: tensor "w": a dimension of -1)"),
      one("gguf_tensor_of_no_dimension", {}, 0, 0, 64,
          R"(@/model.gguf: byte 37: tensor "w": 0 dimensions; 1 to 4 are allowed)"),
      one("gguf_tensor_of_five_dimensions", {1, 1, 1, 1, 1}, 0, 0, 64,
          R"(@/model.gguf: byte 37: tensor "w": 5 dimensions; 1 to 4 are allowed)"),
      one("gguf_tensor_overflows", {huge, huge}, 0, 0, 64,
          R"(@/model.gguf: byte 65: tensor "w": its size is beyond 64 bits)"),
      one("gguf_tensor_overflows_in_bytes", {huge}, 0, 0, 64,
          R"(@/model.gguf: byte 57: tensor "w": its size is beyond 64 bits)"),
      one("gguf_tensor_of_another_type", {256}, 10, 0, 84,
          R"(@/model.gguf: byte 57: tensor "w": GGUF type 10 is not read; types read are F32 F16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q4_K Q5_K Q6_K BF16)"),
      two("gguf_tensors_overlap", "b", 32, R"(@/model.gguf: tensor "b": byte 128: overlaps tensor "a")"),
      two("gguf_tensor_twice", "a", 64, R"(@/model.gguf: byte 90: tensor "a": stands twice)"),
  };
}

/// Files whose header is sound and whose keys are not a model and a tokenizer.
inline std::vector<Malformed> gguf_model_cases() {
  const std::string good = model_gguf();
  const auto changed = [good](const std::string& from, const std::string& to) {
    return with(good, from, to);
  };
  return {
      gguf_case("gguf_without_a_tokenizer", Gguf().head(0, 0),
                R"(@/model.gguf: the key tokenizer.ggml.model is missing)"),
      gguf_case(
          "gguf_of_another_architecture", model_gguf({}, 0, "bloom"),
          R"(@/model.gguf: general.architecture = bloom is not implemented; implemented are llama, qwen2, qwen3)"),
      gguf_case("gguf_lacks_a_size", changed("block_count", "block_kount"),
                R"(@/model.gguf: the key llama.block_count is missing)"),
      gguf_case(
          "gguf_of_no_heads",
          changed("head_count" + bytes_of(4u) + bytes_of(2u), "head_count" + bytes_of(4u) + bytes_of(0u)),
          R"(@/model.gguf: num_attention_heads = 0 is not a size from 1 to 2147483648)"),
      gguf_case("gguf_size_is_a_real", changed("block_count" + bytes_of(4u), "block_count" + bytes_of(6u)),
                R"(@/model.gguf: llama.block_count: expected an integer, found a value of type f32)"),
      gguf_case("gguf_eps_is_nan",
                changed("rms_epsilon" + bytes_of(6u) + bytes_of(1e-5f),
                        "rms_epsilon" + bytes_of(6u) + bytes_of(0x7fc00000u)),
                R"(@/model.gguf: rms_norm_eps = nan is not a positive number)"),
      gguf_case("gguf_scaled_rope", model_gguf(Gguf().string("llama.rope.scaling.type", "yarn"), 1),
                R"(@/model.gguf: llama.rope.scaling.type = yarn is not implemented)"),
      gguf_case("gguf_stretched_rope", model_gguf(Gguf().real("llama.rope.scaling.factor", 2.0f), 1),
                R"(@/model.gguf: llama.rope.scaling.factor = 2 is linear scaling, which is not implemented)"),
      gguf_case("gguf_stretched_rope_as_of_old", model_gguf(Gguf().real("llama.rope.scale_linear", 4.0f), 1),
                R"(@/model.gguf: llama.rope.scale_linear = 4 is linear scaling, which is not implemented)"),
      gguf_case("gguf_lacks_a_weight", changed("ffn_up.weight", "ffn_xx.weight"),
                R"(@/model.gguf: tensor "blk.0.ffn_up.weight" is missing)", Seen::by_program),
      gguf_case("gguf_weight_of_another_shape",
                changed("feed_forward_length" + bytes_of(4u) + bytes_of(8u),
                        "feed_forward_length" + bytes_of(4u) + bytes_of(16u)),
                R"(@/model.gguf: blk.0.ffn_gate.weight is [8, 8] at byte 3200; the metadata say [16, 8])",
                Seen::by_program),
      gguf_case(
          "gguf_pieces_that_take_long_to_cut", long_pieces(17, 4096),
          R"(@/model.gguf: tokenizer.ggml.tokens: the squares of the pieces' lengths add up to 285212672 bytes; at most 268435456 are allowed)"),
      gguf_case("gguf_tokenizer_of_another_kind", changed("gpt2", "bert"),
                R"(@/model.gguf: tokenizer.ggml.model is "bert"; allowed are gpt2, llama)"),
      gguf_case(
          "gguf_tokenizer_cut_otherwise", changed("smollm", "smallm"),
          R"(@/model.gguf: tokenizer.ggml.pre is "smallm"; allowed are gpt-2, smollm, llama-bpe, qwen2, default)"),
      gguf_case("gguf_merge_of_unknown_tokens", changed("a b", "a q"),
                R"(@/model.gguf: the merge names "q", which is not in the vocabulary)"),
      gguf_case("gguf_token_twice",
                changed(bytes_of<std::uint64_t>(1) + "h", bytes_of<std::uint64_t>(1) + "g"),
                R"(@/model.gguf: token "g" has two ids, 8 and 9)"),
      gguf_case("gguf_token_is_no_utf8",
                changed(bytes_of<std::uint64_t>(1) + "h", bytes_of<std::uint64_t>(1) + "\xff"),
                R"(@/model.gguf: tokenizer.ggml: token or merge 9 is not UTF-8)"),
      gguf_case("gguf_end_outside_the_vocabulary",
                changed("eos_token_id" + bytes_of(4u) + bytes_of(1u),
                        "eos_token_id" + bytes_of(4u) + bytes_of(16u)),
                R"(@/model.gguf: tokenizer.ggml.eos_token_id is 16; ids are from 0 to 15)"),
      gguf_case("gguf_array_of_another_type",
                changed("tokenizer.ggml.merges" + bytes_of(9u) + bytes_of(8u),
                        "tokenizer.ggml.merges" + bytes_of(9u) + bytes_of(10u)),
                R"(@/model.gguf: byte 827: a key has 1972893986620178432 bytes; at most 65536)"),
      gguf_case(
          "gguf_cut_off", good.substr(0, good.size() - 1),
          R"(@/model.gguf: tensor "output_norm.weight": byte 2112 of the data: needs 32 bytes, beyond the end of the file)"),
  };
}

}  // namespace prefer::testing
