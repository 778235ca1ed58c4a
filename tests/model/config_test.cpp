// config.json of transformers 4 and 5, what is written back, and what is refused.
#include "prefer/model/config.hpp"

#include "support/error.hpp"

#include <gtest/gtest.h>

namespace prefer {
namespace {

using testing::error_of;

Json config_with(const std::string& more) {
  return parse_json(R"({"model_type": "llama", "vocab_size": 32, "hidden_size": 16, "intermediate_size": 24,
"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64)" +
                        more + "}",
                    "config.json");
}

TEST(ModelConfig, ReadsBothSpellingsOfRotaryScaling) {
  const char* const four =
      R"(, "rope_theta": 500000.0, "torch_dtype": "bfloat16", "rope_scaling": {"rope_type": "llama3",
"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192})";
  const char* const five =
      R"(, "dtype": "bfloat16", "rope_parameters": {"rope_theta": 500000.0, "rope_type": "llama3",
"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192})";
  for (const char* text : {four, five}) {
    const ModelConfig config = read_model_config(config_with(text));
    EXPECT_EQ(config.rope.theta, 500000.0);
    EXPECT_TRUE(config.rope.llama3);
    EXPECT_EQ(config.rope.factor, 8.0);
    EXPECT_EQ(config.rope.original_context, 8192.0);
    EXPECT_EQ(config.dtype, "bfloat16");
    EXPECT_EQ(config.head_dim, 4);
  }
}

TEST(ModelConfig, WhatIsWrittenReadsBackAndHasBothSpellings) {
  for (const char* more :
       {R"(, "eos_token_id": [2, 7], "bos_token_id": 1, "tie_word_embeddings": true)",
        R"(, "attention_bias": true, "rms_norm_eps": 1e-05, "pad_token_id": 0, "head_dim": 6)"}) {
    const ModelConfig config = read_model_config(config_with(more));
    const Json written = write_model_config(config);
    EXPECT_EQ(dump(write_model_config(read_model_config(written))), dump(written));
    EXPECT_EQ(written.at("torch_dtype"), written.at("dtype"));
    EXPECT_EQ(written.at("rope_theta"), written.at("rope_parameters").at("rope_theta"));
  }
}

TEST(ModelConfig, SlidingWindowsAreThoseOfTransformers) {
  const auto window = [](const std::string& text) {
    return read_model_config(parse_json(R"({"vocab_size": 32, "hidden_size": 16, "intermediate_size": 24,
"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, )" +
                                            text + "}",
                                        "config.json"))
        .window;
  };
  EXPECT_EQ(window(R"("model_type": "mistral", "sliding_window": 4096)"), 4096);
  EXPECT_EQ(window(R"("model_type": "mistral", "sliding_window": null)"), 0);
  EXPECT_EQ(window(R"("model_type": "qwen2", "sliding_window": 4096, "use_sliding_window": false)"), 0);
  EXPECT_THROW(
      window(
          R"("model_type": "qwen2", "sliding_window": 4096, "use_sliding_window": true, "max_window_layers": 1)"),
      Error);
}

TEST(ModelConfig, AGenerationConfigNamesTheTokensThatEnd) {
  ModelConfig config = read_model_config(config_with(R"(, "eos_token_id": 2)"));
  read_generation_config(
      parse_json(R"({"eos_token_id": [5, 6], "temperature": 0.7})", "generation_config.json"), config);
  EXPECT_EQ(config.eos, (std::vector<int64_t>{5, 6}));
  EXPECT_EQ(dump(write_generation_config(config)),
            R"({"bos_token_id":null,"eos_token_id":[5,6],"pad_token_id":null})");
}

TEST(ModelConfig, RefusesWhatWouldChangeTheMaths) {
  const auto error = [](const std::string& more) {
    return error_of([&] { read_model_config(config_with(more)); });
  };
  EXPECT_EQ(error(""), "");
  EXPECT_EQ(error(R"(, "hidden_act": "gelu")"),
            R"(config.json:2:122: hidden_act = "gelu" is not implemented)");
  EXPECT_NE(error(R"(, "rope_scaling": {"type": "yarn", "factor": 4.0})")
                .find(R"(rope_type "yarn" is not implemented; implemented are default and llama3)"),
            std::string::npos);
  EXPECT_NE(error(R"(, "mlp_bias": true)").find("mlp_bias = true is not implemented"), std::string::npos);
  EXPECT_NE(error(R"(, "quantization_config": {"bits": 4})").find("quantization_config"), std::string::npos);
  EXPECT_NE(error(R"(, "num_local_experts": 8)").find("num_local_experts"), std::string::npos);
  EXPECT_NE(error(R"(, "head_dim": 5)").find("head_dim = 5 is odd"), std::string::npos);
}

TEST(ModelConfig, RefusesUnknownFamiliesAndMissingSizes) {
  const auto error = [](const char* text) {
    return error_of([&] { read_model_config(parse_json(text, "config.json")); });
  };
  EXPECT_EQ(
      error(R"({"model_type": "gemma2"})"),
      R"(config.json:1:16: model_type "gemma2" is not implemented; implemented are llama, mistral, qwen2, qwen3)");
  EXPECT_NE(error(R"({"model_type": "llama", "vocab_size": 32})").find("hidden_size"), std::string::npos);
}

}  // namespace
}  // namespace prefer
