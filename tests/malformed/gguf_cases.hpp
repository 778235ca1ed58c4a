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
inline std::vector<Malformed> gguf_header_cases() {
  const auto key = [](std::uint32_t type) { return Gguf().head(0, 1).key("k", type); };
  const std::uint64_t huge = std::uint64_t{1} << 62;
  return {
      gguf_case("gguf_of_another_version", Gguf().head(0, 0, 1), R"(?)"),
      gguf_case("gguf_big_endian", Gguf().head(0, 0, 0x03000000), R"(?)"),
      gguf_case("gguf_cut_in_the_version", std::string("GGUF\3"), R"(?)"),
      gguf_case("gguf_too_many_tensors", Gguf().head(65537, 0), R"(?)"),
      gguf_case("gguf_too_many_keys", Gguf().head(0, std::uint64_t{1} << 60), R"(?)"),
      gguf_case("gguf_keys_missing", Gguf().head(0, 1), R"(?)"),
      gguf_case("gguf_key_of_2_to_the_63", Gguf().head(0, 1).number(std::uint64_t{1} << 63), R"(?)"),
      gguf_case("gguf_type_out_of_range", key(13), R"(?)"),
      gguf_case("gguf_boolean_of_two", key(7).number(std::uint8_t{2}), R"(?)"),
      gguf_case("gguf_string_of_2_to_the_40", key(8).number(std::uint64_t{1} << 40), R"(?)"),
      gguf_case("gguf_string_beyond_the_file", key(8).number(std::uint64_t{100}), R"(?)"),
      gguf_case("gguf_array_of_arrays", key(9).number(9u).number(std::uint64_t{1}), R"(?)"),
      gguf_case("gguf_array_of_2_to_the_62", key(9).number(4u).number(huge), R"(?)"),
      gguf_case("gguf_array_beyond_the_file", key(9).number(8u).number(std::uint64_t{1000}), R"(?)"),
      gguf_case("gguf_key_twice", Gguf().head(0, 2).integer("k", 1).integer("k", 1), R"(?)"),
      gguf_case("gguf_alignment_zero", Gguf().head(0, 1).integer("general.alignment", 0), R"(?)"),
      gguf_case("gguf_alignment_three", Gguf().head(0, 1).integer("general.alignment", 3), R"(?)"),
      gguf_case("gguf_alignment_is_a_text", Gguf().head(0, 1).string("general.alignment", "32"), R"(?)"),
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
      one("gguf_tensor_cut_off", {32, 2}, 2, 0, 35, R"(?)"),
      one("gguf_tensor_of_part_blocks", {31, 2}, 2, 0, 36, R"(?)"),
      one("gguf_tensor_not_aligned", {8}, 0, 4, 64, R"(?)"),
      one("gguf_tensor_before_the_file", {8}, 0, std::uint64_t(-32), 64, R"(?)"),
      one("gguf_tensor_behind_the_file", {8}, 0, std::uint64_t{1} << 40, 64, R"(?)"),
      one("gguf_tensor_of_dimension_zero", {0}, 0, 0, 64, R"(?)"),
      one("gguf_tensor_of_a_negative_dimension", {-1}, 0, 0, 64, R"(?)"),
      one("gguf_tensor_of_no_dimension", {}, 0, 0, 64, R"(?)"),
      one("gguf_tensor_of_five_dimensions", {1, 1, 1, 1, 1}, 0, 0, 64, R"(?)"),
      one("gguf_tensor_overflows", {huge, huge}, 0, 0, 64, R"(?)"),
      one("gguf_tensor_overflows_in_bytes", {huge}, 0, 0, 64, R"(?)"),
      one("gguf_tensor_of_another_type", {256}, 10, 0, 84, R"(?)"),
      two("gguf_tensors_overlap", "b", 32, R"(?)"),
      two("gguf_tensor_twice", "a", 64, R"(?)"),
  };
}

/// Files whose header is sound and whose keys are not a model and a tokenizer.
inline std::vector<Malformed> gguf_model_cases() {
  const std::string good = model_gguf();
  const auto changed = [good](const std::string& from, const std::string& to) {
    return with(good, from, to);
  };
  return {
      gguf_case("gguf_without_a_tokenizer", Gguf().head(0, 0), R"(?)"),
      gguf_case("gguf_of_another_architecture", model_gguf({}, 0, "bloom"), R"(?)"),
      gguf_case("gguf_lacks_a_size", changed("block_count", "block_kount"), R"(?)"),
      gguf_case(
          "gguf_of_no_heads",
          changed("head_count" + bytes_of(4u) + bytes_of(2u), "head_count" + bytes_of(4u) + bytes_of(0u)),
          R"(?)"),
      gguf_case("gguf_size_is_a_real", changed("block_count" + bytes_of(4u), "block_count" + bytes_of(6u)),
                R"(?)"),
      gguf_case("gguf_eps_is_nan",
                changed("rms_epsilon" + bytes_of(6u) + bytes_of(1e-5f),
                        "rms_epsilon" + bytes_of(6u) + bytes_of(0x7fc00000u)),
                R"(?)"),
      gguf_case("gguf_scaled_rope", model_gguf(Gguf().string("llama.rope.scaling.type", "yarn"), 1), R"(?)"),
      gguf_case("gguf_lacks_a_weight", changed("ffn_up.weight", "ffn_xx.weight"), R"(?)", Seen::by_program),
      gguf_case("gguf_weight_of_another_shape",
                changed("feed_forward_length" + bytes_of(4u) + bytes_of(8u),
                        "feed_forward_length" + bytes_of(4u) + bytes_of(16u)),
                R"(?)", Seen::by_program),
      gguf_case("gguf_tokenizer_of_another_kind", changed("gpt2", "bert"), R"(?)"),
      gguf_case("gguf_tokenizer_cut_otherwise", changed("smollm", "smallm"), R"(?)"),
      gguf_case("gguf_merge_of_unknown_tokens", changed("a b", "a q"), R"(?)"),
      gguf_case("gguf_token_twice",
                changed(bytes_of<std::uint64_t>(1) + "h", bytes_of<std::uint64_t>(1) + "g"), R"(?)"),
      gguf_case("gguf_token_is_no_utf8",
                changed(bytes_of<std::uint64_t>(1) + "h", bytes_of<std::uint64_t>(1) + "\xff"), R"(?)"),
      gguf_case("gguf_end_outside_the_vocabulary",
                changed("eos_token_id" + bytes_of(4u) + bytes_of(1u),
                        "eos_token_id" + bytes_of(4u) + bytes_of(16u)),
                R"(?)"),
      gguf_case("gguf_array_of_another_type",
                changed("tokenizer.ggml.merges" + bytes_of(9u) + bytes_of(8u),
                        "tokenizer.ggml.merges" + bytes_of(9u) + bytes_of(10u)),
                R"(?)"),
      gguf_case("gguf_cut_off", good.substr(0, good.size() - 1), R"(?)"),
  };
}

}  // namespace prefer::testing
