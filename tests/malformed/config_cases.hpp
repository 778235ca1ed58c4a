// Malformed configs and command lines.
#pragma once

#include "tests/malformed/malformed.hpp"

namespace prefer::testing {

/// A case of run.json.
inline Malformed config_case(const std::string& name, const std::string& config, const std::string& line,
                             Seen seen = Seen::by_readers) {
  return {name, "dpo", line, {{"run.json", config}}, {"@/run.json"}, seen};
}

/// A case of one override of dpo.
inline Malformed override_case(const std::string& name, const std::string& word, const std::string& line,
                               Seen seen = Seen::by_program) {
  return {name, "dpo", line, {}, {word}, seen};
}

inline std::vector<Malformed> config_file_cases() {
  return {
      {"config_missing", "dpo", R"(?)", {}, {"@/none.json"}, Seen::by_program},
      {"config_is_a_folder", "dpo", R"(?)", {}, {"@/model"}},
      config_case("config_empty", "", R"(?)"),
      config_case("config_of_yaml", "max_length: 3\n", R"(?)"),
      config_case("config_cut_off", R"({"max_length": 3, )", R"(?)"),
      config_case("config_is_a_list", "[]", R"(?)"),
      config_case("config_is_a_number", "7", R"(?)"),
      config_case("config_too_large", "{" + std::string(1 << 20, ' ') + "}", R"(?)"),
      config_case("config_too_deep", std::string(70, '[') + std::string(70, ']'), R"(?)"),
      config_case("config_key_twice", R"({"max_length": 3, "max_length": 4})", R"(?)"),
      config_case("config_nan", R"({"max_length": NaN})", R"(?)"),
      config_case("config_text_for_an_integer", R"({"max_length": "3"})", R"(?)"),
      config_case("config_fraction_for_an_integer", R"({"max_length": 3.5})", R"(?)"),
      config_case("config_null_for_an_integer", R"({"max_length": null})", R"(?)"),
      config_case("config_beyond_int64", R"({"max_length": 9223372036854775808})", R"(?)"),
      config_case("config_integer_for_a_flag", R"({"append_eos": 1})", R"(?)"),
      config_case("config_list_for_a_text", R"({"truncation": ["keep_end"]})", R"(?)"),
      config_case("config_below_the_range", R"({"max_length": -1})", R"(?)"),
      config_case("config_none_of_the_choices", R"({"truncation": "keep_start "})", R"(?)"),
      config_case("config_unknown_key", R"({"loss": {"betta": 0.2}})", R"(?)", Seen::by_program),
      config_case("config_key_of_another_group", R"({"beta": 0.2})", R"(?)", Seen::by_program),
      config_case("config_group_is_a_number", R"({"loss": 3})", R"(?)", Seen::by_program),
      config_case("config_holds_a_secret", R"({"hf_token": "abc"})", R"(?)", Seen::by_program),
  };
}

inline std::vector<Malformed> override_cases() {
  return {
      override_case("argument_without_equals", "max_length", R"(?)"),
      override_case("argument_of_dashes", "--steps", R"(?)"),
      override_case("argument_without_key", "=3", R"(?)"),
      override_case("override_of_a_group", "loss=3", R"(?)"),
      override_case("override_below_a_key", "steps.more=3", R"(?)"),
      override_case("override_unknown", "loss.betta=1", R"(?)"),
      override_case("override_unknown_group", "los.beta=1", R"(?)"),
      override_case("override_holds_a_secret", "api_key=abc123", R"(?)"),
      override_case("override_url_with_a_password", "eval=https://me:pw@host/x", R"(?)"),
      override_case("override_text_for_an_integer", "max_length=many", R"(?)", Seen::by_readers),
      override_case("override_fraction_for_an_integer", "max_length=1.5", R"(?)", Seen::by_readers),
      override_case("override_beyond_int64", "max_length=99999999999999999999", R"(?)", Seen::by_readers),
      override_case("override_number_for_a_flag", "append_eos=1", R"(?)", Seen::by_readers),
      override_case("override_near_a_choice", "truncation=keep_strat", R"(?)", Seen::by_readers),
      override_case("override_nan", "loss.beta=nan", R"(?)"),
      override_case("override_empty", "loss.beta=", R"(?)"),
      override_case("override_of_no_beta", "loss.beta=0", R"(?)"),
      override_case("override_of_an_unknown_loss", "loss.name=dpoo", R"(?)"),
      override_case("seed_negative", "seed=-1", R"(?)"),
      override_case("batch_of_nothing", "batch_size=0", R"(?)"),
      override_case("batch_of_a_billion", "batch_size=1000000000", R"(?)"),
      override_case("steps_negative", "steps=-1", R"(?)"),
      override_case("threads_negative", "threads=-1", R"(?)"),
      override_case("threads_of_a_billion", "threads=1000000000", R"(?)"),
      override_case("learning_rate_negative", "optimizer.learning_rate=-1e-4", R"(?)"),
      override_case("memory_that_never_fades", "optimizer.adam_beta2=1", R"(?)"),
      override_case("dtype_unknown", "dtype=int8", R"(?)"),
      override_case("device_unknown", "device=tpu", R"(?)"),
      override_case("device_not_here", "device=cuda", R"(?)"),
      override_case("model_empty", "model=", R"(?)"),
      override_case("eval_missing", "eval=@/none.jsonl", R"(?)"),
      override_case("eval_every_without_eval", "eval_every=3", R"(?)"),
      override_case("samples_missing", "samples.prompts=@/none.jsonl", R"(?)"),
      override_case("samples_are_no_prompts", "samples.prompts=@/in.jsonl", R"(?)"),
      override_case("samples_without_prompts", "samples.every=3", R"(?)"),
      {"reference_of_no_use", "dpo", R"(?)", {}, {"loss.name=simpo", "reference=y"}, Seen::by_program},
      {"reference_kept_for_no_use",
       "dpo",
       R"(?)",
       {},
       {"loss.name=simpo", "reference_logprobs=cached"},
       Seen::by_program},
      override_case("reference_missing", "reference=@/none", R"(?)"),
      override_case("output_empty", "output=", R"(?)"),
      override_case("output_is_a_file", "output=@/in.jsonl", R"(?)"),
      override_case("output_below_a_file", "output=@/in.jsonl/out", R"(?)"),
      override_case("output_in_use", "output=@/model", R"(?)"),
      {"output_in_use_is_said_before_data_are_read",
       "dpo",
       R"(?)",
       {},
       {"output=@/model", "train=@/none.jsonl"},
       Seen::by_program},
      {"generate_two_sources", "generate", R"(?)", {}, {"prompt=a"}, Seen::by_program},
      {"generate_top_p_zero", "generate", R"(?)", {}, {"top_p=0"}, Seen::by_program},
      {"generate_cold", "generate", R"(?)", {}, {"temperature=-1"}, Seen::by_program},
      {"generate_nothing", "generate", R"(?)", {}, {"max_new_tokens=0"}, Seen::by_program},
      {"generate_far_too_much", "generate", R"(?)", {}, {"n=1000000000000"}, Seen::by_program},
  };
}

}  // namespace prefer::testing
