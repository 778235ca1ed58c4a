// config.json of transformers 4 and 5, what is written back, and what is refused.
#include "prefer/model/config.hpp"

#include "prefer/core/fs.hpp"
#include "prefer/model/weights.hpp"
#include "support/data.hpp"
#include "support/error.hpp"
#include "support/tiny_model.hpp"

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

// One layer's weights by their names in it, and how many numbers all have.
void expect_weights(const ModelConfig& config, const Json& is) {
  const std::string prefix = "model.layers.0.";
  size_t in_layer = 0;
  int64_t parameters = 0;
  for (const WeightSpec& spec : weight_specs(config)) {
    parameters += c10::multiply_integers(spec.shape);
    if (!spec.name.starts_with(prefix)) continue;
    ++in_layer;
    const Json* shape = is.at("layer").find(spec.name.substr(prefix.size()));
    ASSERT_NE(shape, nullptr) << spec.name;
    ASSERT_EQ(shape->size(), spec.shape.size());
    for (size_t i = 0; i < spec.shape.size(); ++i) EXPECT_EQ(shape->at(i), Json(spec.shape[i])) << spec.name;
  }
  EXPECT_EQ(in_layer, is.at("layer").size());
  EXPECT_EQ(Json(parameters), is.at("parameters"));
}

void expect_reading(const ModelConfig& config, const Json& is) {
  expect_weights(config, is);
  EXPECT_EQ(config.tied, is.at("tied").as_bool());
  EXPECT_EQ(config.norm_eps, is.at("eps").as_number());
  EXPECT_EQ(config.context, is.at("context").as_integer());
  EXPECT_EQ(config.window, is.at("window").as_integer());
  EXPECT_EQ(config.dtype, is.at("dtype").as_string());
  EXPECT_EQ(config.bos ? Json(*config.bos) : Json(), is.at("bos"));
  EXPECT_EQ(config.pad ? Json(*config.pad) : Json(), is.at("pad"));
  Json eos = Json::array();
  for (const int64_t id : config.eos) eos.push(id);
  EXPECT_EQ(dump(eos), dump(is.at("eos")));
  const std::vector<double> frequencies = kernels::rope::inverse_frequencies(config.rope);
  for (size_t i = 0; i < frequencies.size(); i += 3) {  // theirs are rounded to float
    const double wanted = is.at("frequencies").at(i / 3).as_number();
    EXPECT_NEAR(frequencies[i], wanted, 2e-6 * wanted) << i;
  }
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

// configs.json: what transformers makes of a config.json.
TEST(ModelConfig, IsReadAsTransformersReadsIt) {
  const std::string path = testing::golden("configs.json");
  PosixFs fs;
  const Json golden = parse_json(read_file(fs, path, 1 << 20), path);
  ASSERT_GT(golden.at("cases").size(), 30u);
  for (const Json& wanted : golden.at("cases").as_array()) {
    SCOPED_TRACE(wanted.at("name").as_string());
    const ModelConfig config = read_model_config(wanted.at("config"));
    expect_reading(config, wanted.at("is"));
    const Json written = write_model_config(config);
    EXPECT_EQ(dump(write_model_config(read_model_config(written))), dump(written));
    expect_reading(read_model_config(written), wanted.at("is"));
  }
}

TEST(ModelConfig, AGenerationConfigNamesTheTokensThatEnd) {
  ModelConfig config = read_model_config(config_with(R"(, "eos_token_id": 2)"));
  read_generation_config(
      parse_json(R"({"eos_token_id": [5, 6], "temperature": 0.7})", "generation_config.json"), config);
  EXPECT_EQ(config.eos, (std::vector<int64_t>{5, 6}));
  EXPECT_EQ(dump(write_generation_config(config)),
            R"({"bos_token_id":1,"eos_token_id":[5,6],"pad_token_id":null,"temperature":0.7})");
}

struct Refused {
  const char* type;
  const char* more;   // keys after the sizes
  const char* error;  // after the place in the file
};

// The fields of LlamaConfig, MistralConfig, Qwen2Config and Qwen3Config, and those of RopeParameters, whose
// value can change the maths; then keys with which a model's own code changes it.
const Refused kRefused[] = {
    {"llama", R"("hidden_act": "gelu")", R"(hidden_act = "gelu" is not implemented; implemented is "silu")"},
    {"qwen3", R"("hidden_act": "gelu_pytorch_tanh")",
     R"(hidden_act = "gelu_pytorch_tanh" is not implemented; implemented is "silu")"},
    {"llama", R"("mlp_bias": true)", "mlp_bias = true is not implemented; implemented is false"},
    {"mistral", R"("attention_dropout": 0.1)",
     "attention_dropout = 0.1 is not implemented; implemented is 0"},
    {"llama", R"("is_causal": false)", "is_causal = false is not implemented; implemented is true"},
    {"llama", R"("partial_rotary_factor": 0.5)",
     "partial_rotary_factor = 0.5 is not implemented; implemented is 1"},
    {"llama", R"("rope_interleaved": true)",
     "rope_interleaved = true is not implemented; implemented is false"},
    {"llama", R"("rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5})",
     "partial_rotary_factor = 0.5 is not implemented; implemented is 1"},
    {"llama", R"("rope_scaling": {"type": "linear", "factor": 2.0})",
     R"(rope_type "linear" is not implemented; implemented are default and llama3)"},
    {"llama", R"("rope_scaling": {"type": "dynamic", "factor": 2.0})",
     R"(rope_type "dynamic" is not implemented; implemented are default and llama3)"},
    {"llama", R"("rope_scaling": {"factor": 8.0})",
     "factor = 8.0 without a rope_type is not implemented; implemented are default and llama3"},
    {"qwen2", R"("rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768})",
     R"(rope_type "yarn" is not implemented; implemented are default and llama3)"},
    {"qwen3", R"("rope_parameters": {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1000000})",
     R"(rope_type "yarn" is not implemented; implemented are default and llama3)"},
    {"llama", R"("rope_parameters": {"rope_type": "longrope", "factor": 4.0})",
     R"(rope_type "longrope" is not implemented; implemented are default and llama3)"},
    {"llama", R"("rope_parameters": {"rope_type": "proportional"})",
     R"(rope_type "proportional" is not implemented; implemented are default and llama3)"},
    {"qwen3", R"("rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 5.0}})",
     "rope parameters of full_attention alone are not implemented"},
    {"llama", R"("rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0})",
     R"("high_freq_factor" is missing)"},
    {"llama",
     R"("rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 1})",
     "high_freq_factor = 1 is not above low_freq_factor = 4"},
    {"llama", R"("rope_theta": 0)", "rope_theta = 0 is not a positive number"},
    {"llama", R"("rms_norm_eps": -1e-5)", "rms_norm_eps = -1e-05 is not a positive number"},
    {"llama", R"("head_dim": 5)", "head_dim = 5 is odd, and rotary positions want pairs"},
    {"llama", R"("num_key_value_heads": 3)",
     "num_attention_heads = 4 is not a multiple of num_key_value_heads = 3"},
    {"qwen2", R"("max_position_embeddings": 64)",
     "num_attention_heads = 4 is not a multiple of num_key_value_heads = 32"},
    {"mistral", R"("sliding_window": 0, "num_key_value_heads": 2)",
     "sliding_window = 0 is not a number of tokens; null: no window"},
    {"qwen2", R"("num_key_value_heads": 2, "use_sliding_window": true, "max_window_layers": 1)",
     "a sliding window in 1 of 2 layers is not implemented; implemented is one in all or in none"},
    {"qwen3",
     R"("num_key_value_heads": 2, "use_sliding_window": true, "layer_types": ["full_attention", "sliding_attention"])",
     "a sliding window in 1 of 2 layers is not implemented; implemented is one in all or in none"},
    {"qwen2", R"("num_key_value_heads": 2, "use_sliding_window": true, "layer_types": ["sliding_attention"])",
     "layer_types names 1 layers, and num_hidden_layers = 2"},
    {"qwen2", R"("num_key_value_heads": 2, "layer_types": ["full_attention", "chunked_attention"])",
     R"(a layer of "chunked_attention" is not implemented; implemented are full_attention and sliding_attention)"},
    {"qwen3", R"("num_key_value_heads": 2, "layer_types": ["sliding_attention", "sliding_attention"])",
     "layer_types names layers with a sliding window, and no other key gives them one"},
    {"mistral", R"("num_key_value_heads": 2, "layer_types": ["full_attention", "full_attention"])",
     "a sliding window in 0 of 2 layers is not implemented; implemented is one in all or in none"},
    {"llama", R"("layer_types": ["full_attention", "linear_attention"])",
     R"(a layer of "linear_attention" is not implemented; implemented are full_attention and sliding_attention)"},
    {"llama", R"("attn_logit_softcapping": 50.0)", "attn_logit_softcapping = 50.0 is not implemented"},
    {"llama", R"("final_logit_softcapping": 30.0)", "final_logit_softcapping = 30.0 is not implemented"},
    {"llama", R"("logit_scale": 0.0625)", "logit_scale = 0.0625 is not implemented; implemented is 1"},
    {"llama", R"("logits_scaling": 8.0)", "logits_scaling = 8.0 is not implemented; implemented is 1"},
    {"llama", R"("embedding_multiplier": 12)",
     "embedding_multiplier = 12 is not implemented; implemented is 1"},
    {"llama", R"("residual_multiplier": 0.22)",
     "residual_multiplier = 0.22 is not implemented; implemented is 1"},
    {"llama", R"("attention_multiplier": 0.01)", "attention_multiplier = 0.01 is not implemented"},
    {"llama", R"("query_pre_attn_scalar": 256)", "query_pre_attn_scalar = 256 is not implemented"},
    {"llama", R"("use_qk_norm": true)", "use_qk_norm = true is not implemented; implemented is false"},
    {"llama", R"("num_experts": 8)", "num_experts = 8 is not implemented; implemented is 0"},
    {"mistral", R"("num_local_experts": 8)", "num_local_experts = 8 is not implemented; implemented is 0"},
    {"llama", R"("quantization_config": {"bits": 4})",
     R"(quantization_config = {"bits":4} is not implemented)"},
};

TEST(ModelConfig, RefusesByNameWhatWouldChangeTheMaths) {
  for (const Refused& refused : kRefused) {
    SCOPED_TRACE(std::string(refused.type) + ", " + refused.more);
    const std::string error = error_of([&] {
      read_model_config(parse_json(R"({"vocab_size": 32, "hidden_size": 16, "intermediate_size": 24,
"num_hidden_layers": 2, "num_attention_heads": 4, "model_type": ")" +
                                       std::string(refused.type) + "\", " + refused.more + "}",
                                   "config.json"));
    });
    EXPECT_TRUE(error.starts_with("config.json:")) << error;
    EXPECT_TRUE(error.ends_with(std::string(": ") + refused.error)) << error;
  }
}

TEST(ModelConfig, AValueThatChangesNothingIsNotRefused) {
  EXPECT_EQ(error_of([&] {
              read_model_config(config_with(
                  R"(, "hidden_act": "swish", "mlp_bias": false, "attention_dropout": 0.0, "is_causal": true,
"partial_rotary_factor": 1.0, "logit_scale": 1.0, "attn_logit_softcapping": null, "num_experts": null,
"rope_scaling": {}, "rope_parameters": {"factor": 1.0}, "layer_types": ["full_attention", "full_attention"], "pretraining_tp": 2)"));
            }),
            "");
}

TEST(ModelConfig, WhatAFamilyCannotSayIsNotWritten) {
  const auto error = [](const char* type, void (*change)(ModelConfig&)) {
    ModelConfig config = testing::tiny_config();
    config.model_type = type;
    change(config);
    return error_of([&] { write_model_config(config); });
  };
  EXPECT_EQ(error("llama", [](ModelConfig&) {}), "");
  EXPECT_EQ(error("llama", [](ModelConfig& c) { c.window = 4; }),
            "model config: a llama model with a sliding window has no config.json");
  EXPECT_EQ(error("llama", [](ModelConfig& c) { c.qkv_bias = true; }),
            "model config: a llama model with some of attention's biases alone has no config.json");
  EXPECT_EQ(error("llama", [](ModelConfig& c) { c.query_key_norm = true; }),
            "model config: a llama model with norms of queries and keys has no config.json");
  EXPECT_EQ(error("mistral", [](ModelConfig& c) { c.qkv_bias = c.output_bias = true; }),
            "model config: a mistral model with biases has no config.json");
  EXPECT_EQ(error("qwen2", [](ModelConfig&) {}),
            "model config: a qwen2 model without biases of queries, keys and values has no config.json");
  EXPECT_EQ(error("qwen2", [](ModelConfig& c) { c.qkv_bias = c.output_bias = true; }),
            "model config: a qwen2 model with a bias of attention's output has no config.json");
  EXPECT_EQ(error("qwen3", [](ModelConfig&) {}),
            "model config: a qwen3 model without norms of queries and keys has no config.json");
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
