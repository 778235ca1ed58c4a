// Malformed demonstrations, pairs without margins, and reward models where a language model is wanted.
#pragma once

#include "tests/malformed/malformed.hpp"

namespace prefer::testing {

/// A case of texts.jsonl, which sft reads: a good line, then `record`.
inline Malformed demonstration_case(const std::string& name, const std::string& record,
                                    const std::string& line, std::vector<std::string> arguments = {}) {
  return {
      name, "sft", line, {{"texts.jsonl", std::string(kText) + "\n" + record + "\n"}}, std::move(arguments)};
}

/// A case of texts.jsonl, which kto reads.
inline Malformed judged_case(const std::string& name, const std::string& record, const std::string& line) {
  return {name, "kto", "@/texts.jsonl:1:" + line, {{"texts.jsonl", record + "\n"}}};
}

/// A file of texts.jsonl that is bad as a whole.
inline Malformed demonstrations_case(const std::string& name, const std::string& texts,
                                     const std::string& line, std::vector<std::string> arguments) {
  return {name, "sft", line, {{"texts.jsonl", texts}}, std::move(arguments)};
}

/// model/ as a reward model.
inline Files reward_model() {
  auto weights_of = weights();
  weights_of.push_back({"score.weight", "", {1, 8}});
  return {{"model/config.json",
           config_json(R"(, "architectures": ["LlamaForSequenceClassification"], "num_labels": 1)")},
          {"model/model.safetensors", model_safetensors(weights_of)}};
}

inline std::vector<Malformed> demonstration_cases() {
  const std::string known =
      " is of no known form; known are {prompt, completion}, {messages}, {conversations}, {instruction, "
      "output} "
      "and {text}";
  const std::string judged =
      " is of no known form; known are {prompt, completion, label}, {messages, label}, {conversations, "
      "label} and {instruction, output, label}";
  const std::string verdict = "; it must be true (a good answer) or false (a bad one)";
  const std::string user = R"({"role": "user", "content": "a"})";
  const std::string language =
      "@/model: is a reward model, which scores texts; a language model, which continues "
      "them, is asked for";
  return {
      demonstrations_case("texts_none", "", "@/texts.jsonl: no text to train on", {}),
      demonstrations_case("texts_cut_to_nothing",
                          R"({"prompt": "a b", "completion": " c"})"
                          "\n",
                          "@/texts.jsonl: no text to train on; 1 skipped: no token to learn, or none left "
                          "after max_length (1: "
                          "@/texts.jsonl:1:1)",
                          {"max_length=2"}),
      demonstrations_case("texts_all_cut",
                          R"({"text": "a b c d"})"
                          "\n",
                          "@/texts.jsonl: every text was truncated to max_length 3; the longest has 9 tokens",
                          {"max_length=3"}),
      demonstrations_case("texts_without_turns",
                          R"({"text": "a"})"
                          "\n",
                          "@/texts.jsonl:1:1: loss_on=assistant wants the messages of a conversation, and "
                          "this record is text; "
                          "all would do",
                          {"loss_on=assistant"}),
      demonstrations_case(
          "texts_without_turns_after_a_prompt",
          R"({"prompt": "a", "completion": " b"})"
          "\n",
          "@/texts.jsonl:1:1: loss_on=last wants the messages of a conversation, and this record is text; "
          "completion and all would do",
          {"loss_on=last"}),
      demonstrations_case(
          "texts_without_a_prompt",
          R"({"text": "a"})"
          "\n",
          "@/texts.jsonl:1:1: loss_on=completion wants a prompt and a completion, and this record "
          "is one text; all would do",
          {"loss_on=completion"}),
      demonstrations_case(
          "conversations_without_a_prompt",
          R"({"messages": [{"role": "assistant", "content": "a"}]})"
          "\n",
          "@/texts.jsonl:1:1: loss_on=completion wants a prompt and a completion, and this record is one "
          "conversation; assistant, last and all would do",
          {"loss_on=completion"}),
      demonstrations_case("conversation_without_the_assistant", R"({"messages": [)" + user + "]}\n",
                          R"(@/texts.jsonl:1:1: no message of the assistant (its roles are "user"))", {}),
      demonstration_case(
          "conversation_of_other_roles",
          R"({"messages": [{"role": "human", "content": "a"}, {"role": "gpt", "content": "b"}]})",
          R"(@/texts.jsonl:2:1: no message of the assistant (its roles are "human", "gpt"))"),
      demonstration_case(
          "text_with_a_system", R"({"prompt": "a", "completion": "b", "system": "c"})",
          R"(@/texts.jsonl:2:46: "system" beside texts is not read: put it into the text, or give messages)"),
      demonstration_case(
          "conversation_with_another_system",
          R"({"system": "a", "messages": [{"role": "system", "content": "b"}, {"role": "assistant", "content": "c"}]})",
          R"(@/texts.jsonl:2:12: "system" is "a", and the messages begin with another: "b")"),
      demonstration_case(
          "completion_after_another_prompt",
          R"({"prompt": [{"role": "user", "content": "a"}], "completion": [{"role": "user", "content": "b"}, )"
          R"({"role": "assistant", "content": "c"}]})",
          "@/texts.jsonl:2:1: the completion begins with a message of the user that is not the prompt's"),
      demonstrations_case(
          "loss_on_something_else", "",
          R"(loss_on=turns: must be one of auto, completion, assistant, last, all, not "turns")",
          {"loss_on=turns"}),
      demonstration_case("text_is_a_list", "[1]",
                         "@/texts.jsonl:2:1: a record must be an object, not an array"),
      demonstration_case("text_of_no_form", R"({"id": 1, "question": "a"})",
                         "@/texts.jsonl:2:1: a record of {id, question}" + known),
      demonstration_case("text_without_completion", R"({"prompt": "a"})",
                         "@/texts.jsonl:2:1: a record of {prompt}" + known),
      demonstration_case("text_without_output", R"({"instruction": "a", "input": ""})",
                         "@/texts.jsonl:2:1: a record of {instruction, input}" + known),
      demonstration_case("text_of_pairs", R"({"prompt": "a", "chosen": "b", "rejected": "c"})",
                         "@/texts.jsonl:2:1: a record of {prompt, chosen, rejected}" + known),
      demonstration_case("text_of_nothing", "{}", "@/texts.jsonl:2:1: a record of {}" + known),
      demonstration_case("demonstration_is_a_number", R"({"text": 3})",
                         "@/texts.jsonl:2:10: expected a string, found an integer"),
      demonstration_case("demonstration_is_blank", R"({"text": " \n"})",
                         "@/texts.jsonl:2:1: there is nothing to learn: the text is empty"),
      demonstration_case("completion_is_empty", R"({"prompt": "a", "completion": ""})",
                         "@/texts.jsonl:2:1: there is nothing to learn: the text is empty"),
      demonstration_case("completion_is_messages_of_a_text",
                         R"({"prompt": "a", "completion": [)" + user + "]}",
                         "@/texts.jsonl:2:1: one of prompt and completion is a text, the other messages"),
      demonstration_case(
          "completion_of_the_user",
          R"({"prompt": [)" + user + R"(], "completion": [{"role": "user", "content": "b"}]})",
          R"(@/texts.jsonl:2:1: the completion does not end with a message of the assistant, but of "user")"),
      demonstration_case("prompt_of_no_messages",
                         R"({"prompt": [], "completion": [{"role": "assistant", "content": "a"}]})",
                         "@/texts.jsonl:2:12: the prompt has no messages"),
      demonstration_case("conversation_is_a_text", R"({"conversations": "hi"})",
                         "@/texts.jsonl:2:19: a conversation must be a list of messages, not a string"),
      demonstration_case("conversation_is_empty", R"({"conversations": []})",
                         "@/texts.jsonl:2:19: there are no messages"),
      demonstration_case(
          "conversation_from_nobody", R"({"conversations": [{"from": "robot", "value": "a"}]})",
          R"(@/texts.jsonl:2:29: from is "robot"; known are human, user, gpt, assistant, chatgpt, bard, system, function_call, observation, tool)"),
      demonstration_case("output_is_a_number", R"({"instruction": "a", "output": 3})",
                         "@/texts.jsonl:2:32: expected a string, found an integer"),
      demonstration_case("history_of_three",
                         R"({"instruction": "a", "output": "b", "history": [["a", "b", "c"]]})",
                         "@/texts.jsonl:2:49: a turn of history is [question, answer], not 3 items"),
      demonstration_case(
          "tools_are_no_json", R"({"messages": [{"role": "assistant", "content": "a"}], "tools": "["})",
          "@/texts.jsonl:2:64 (tools):1:2: syntax error while parsing value - unexpected end of "
          "input; expected '[', '{', or a literal"),
      demonstration_case(
          "tools_are_one_tool",
          R"({"messages": [{"role": "assistant", "content": "a"}], "tools": {"type": "function"}})",
          "@/texts.jsonl:2:64: tools are a list, not an object"),
      judged_case("judged_of_no_form", R"({"question": "a", "label": true})",
                  "1: a record of {question, label}" + judged),
      judged_case("judged_text", R"({"text": "a", "label": true})", "1: a record of {text, label}" + judged),
      judged_case("judged_answer_to_nothing",
                  R"({"messages": [{"role": "assistant", "content": "a"}], "label": true})",
                  "1: a judged conversation has a prompt and an answer"),
      judged_case("judged_question", R"({"messages": [)" + user + ", " + user + R"(], "label": true})",
                  R"(1: the judged answer does not end with a message of the assistant, but of "user")"),
      judged_case("judged_silence",
                  R"({"messages": [)" + user + R"(, {"role": "assistant", "content": ""}], "label": true})",
                  "1: the judged answer is empty"),
      judged_case("judged_without_label", R"({"prompt": "a", "completion": " b"})",
                  R"(1: "label" is missing)" + verdict),
      judged_case("judged_by_a_text", R"({"prompt": "a", "completion": " b", "label": "true"})",
                  R"(46: "label" is a string)" + verdict),
      judged_case("judged_by_a_number", R"({"prompt": "a", "completion": " b", "label": 1})",
                  R"(46: "label" is an integer)" + verdict),
      {"margin_missing",
       "reward",
       R"(@/pairs.jsonl:1:1: loss.use_margin=true wants a "margin", and the record has none)",
       {},
       {"loss.use_margin=true"},
       Seen::by_program},
      {"centring_pushes",
       "reward",
       R"(loss.center_rewards_coefficient=-1: must be >= 0, not -1)",
       {},
       {"loss.center_rewards_coefficient=-1"},
       Seen::by_program},
      {"reward_overlap_without_eval",
       "reward",
       "drop_overlap=true wants held-out records, and eval is null",
       {},
       {"drop_overlap=true"},
       Seen::by_program},
      {"sft_eval_every_without_eval",
       "sft",
       "eval_every=3 wants held-out records, and eval is null",
       {},
       {"eval_every=3"},
       Seen::by_program},
      {"texts_longer_than_the_context",
       "sft",
       "@/texts.jsonl: the longest text has ...",
       {{"texts.jsonl", R"({"text": ")" + std::string(140, 'c') + "\"}\n"}},
       {"max_length=0"},
       Seen::by_program},
      {"samples_of_a_prompt_as_long_as_the_context",
       "sft",
       "@/asked.jsonl:1:1: the prompt has ...",
       {{"texts.jsonl", R"({"text": "abc"})"},
        {"asked.jsonl", R"({"prompt": ")" + std::string(140, 'c') + "\"}\n"}},
       {"samples.prompts=@/asked.jsonl"},
       Seen::by_program},
      {"dpo_of_a_reward_model", "dpo", language, reward_model(), {}, Seen::by_program},
      {"sft_of_a_reward_model", "sft", language, reward_model(), {}, Seen::by_program},
  };
}

}  // namespace prefer::testing
