// What tells the model families apart: one row each.
#pragma once

#include "prefer/model/config.hpp"

#include <algorithm>
#include <array>

namespace prefer {

// Whether layers see a window: where sliding_window is given, or where use_sliding_window is true besides.
enum class Window { never, where_given, where_used };
// Which products of attention have biases: all or none where attention_bias says so.
enum class Bias { never, query_key_value, as_given };

inline constexpr const char* kScores = "ForSequenceClassification";

// What transformers' code of a family has where config.json is silent.
struct Family {
  const char* model_type;
  const char* architecture;  // before "ForCausalLM" or "ForSequenceClassification"
  int64_t kv_heads;          // 0: as many as heads
  int64_t head_dim;          // 0: hidden_size / heads
  int64_t context;
  std::optional<int64_t> bos, eos;
  Bias bias;
  bool query_key_norm;
  Window window;
};

inline const std::array<Family, 4> kFamilies = {{
    {"llama", "Llama", 0, 0, 2048, 1, 2, Bias::as_given, false, Window::never},
    {"mistral", "Mistral", 8, 0, 131072, 1, 2, Bias::never, false, Window::where_given},
    {"qwen2", "Qwen2", 32, 0, 32768, {}, {}, Bias::query_key_value, false, Window::where_used},
    {"qwen3", "Qwen3", 32, 128, 32768, {}, {}, Bias::as_given, true, Window::where_used},
}};

inline const Family* find_family(const std::string& model_type) {
  const auto found =
      std::ranges::find_if(kFamilies, [&](const Family& f) { return f.model_type == model_type; });
  return found != kFamilies.end() ? &*found : nullptr;
}

/// Their names, as a list in words.
inline std::string family_names() {
  std::string names;
  for (const Family& family : kFamilies)
    names += (names.empty() ? "" : ", ") + std::string(family.model_type);
  return names;
}

}  // namespace prefer
