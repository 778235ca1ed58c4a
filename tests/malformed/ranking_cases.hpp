// Malformed rankings, which reward reads with loss.name=plackett_luce.
#pragma once

#include "tests/malformed/malformed.hpp"

namespace prefer::testing {

inline const char* const kRanking = R"({"prompt": "a b", "answers": [" c", " d", " e"], "ranks": [2, 1, 3]})";

/// A file of rankings that is bad as a whole.
inline Malformed rankings_case(const std::string& name, const std::string& rankings, const std::string& line,
                               std::vector<std::string> arguments = {}) {
  arguments.insert(arguments.end(), {"train=@/rankings.jsonl", "loss.name=plackett_luce"});
  return {name, "reward", line, {{"rankings.jsonl", rankings}}, std::move(arguments)};
}

/// A good ranking, then `record`.
inline Malformed ranking_case(const std::string& name, const std::string& record, const std::string& line) {
  return rankings_case(name, std::string(kRanking) + "\n" + record + "\n", line);
}

inline std::vector<Malformed> ranking_cases() {
  const std::string known = "}; a ranking is {prompt, answers, ranks} or {prompt, answers, scores}";
  const std::string user = R"([{"role": "user", "content": "a"}])";
  return {
      rankings_case("rankings_none", "", "@/rankings.jsonl: no ranking to train on"),
      rankings_case("rankings_all_cut", std::string(kRanking) + "\n",
                    "@/rankings.jsonl: every side was truncated to max_length 4; the longest has 6 tokens",
                    {"max_length=4", "truncation=keep_end", "append_eos=false"}),
      rankings_case(
          "rankings_cut_to_nothing", std::string(kRanking) + "\n",
          "@/rankings.jsonl: no ranking to train on; 1 skipped: no token of an answer is left after "
          "max_length (1: @/rankings.jsonl:1:1)",
          {"max_length=2"}),
      ranking_case("ranking_is_a_list", "[1]",
                   "@/rankings.jsonl:2:1: a record must be an object, not an array"),
      ranking_case(
          "ranking_of_a_pair", kPair,
          R"(@/rankings.jsonl:2:1: "answers" is missing (the record has "chosen" and "rejected": a pair, which reward reads with loss.name=bradley_terry))"),
      ranking_case("ranking_of_another_form", R"({"question": "a"})",
                   R"(@/rankings.jsonl:2:1: "answers" is missing in a record of {question)" + known),
      ranking_case("ranking_with_other_keys",
                   R"({"id": 7, "prompt": "a", "responses": ["b", "c"], "answers": null, "ranks": [1, 2]})",
                   R"(@/rankings.jsonl:2:1: "answers" is missing in a record of {id, prompt, responses, )"
                   "answers: null, ranks" +
                       known),
      ranking_case("ranking_without_prompt", R"({"answers": ["b", "c"], "ranks": [1, 2]})",
                   R"(@/rankings.jsonl:2:1: "prompt" is missing)"),
      ranking_case("ranking_without_answers", R"({"prompt": "a", "ranks": [1, 2]})",
                   R"(@/rankings.jsonl:2:1: "answers" is missing in a record of {prompt, ranks)" + known),
      ranking_case("ranking_without_ranks", R"({"prompt": "a", "answers": ["b", "c"]})",
                   R"(@/rankings.jsonl:2:1: "ranks" or "scores" is missing)"),
      ranking_case("ranking_with_ranks_and_scores",
                   R"({"prompt": "a", "answers": ["b", "c"], "ranks": [1, 2], "scores": [2, 1]})",
                   R"(@/rankings.jsonl:2:1: "ranks" and "scores" are both given, and one is wanted)"),
      ranking_case("ranking_of_one_answer", R"({"prompt": "a", "answers": ["b"], "ranks": [1]})",
                   "@/rankings.jsonl:2:28: a ranking wants at least 2 answers, not 1"),
      ranking_case("ranking_answers_are_a_text", R"({"prompt": "a", "answers": "b", "ranks": [1, 2]})",
                   "@/rankings.jsonl:2:28: expected an array, found a string"),
      ranking_case("ranking_answer_is_a_number", R"({"prompt": "a", "answers": ["b", 3], "ranks": [1, 2]})",
                   "@/rankings.jsonl:2:34: must be a string or a list of messages, not an integer"),
      ranking_case("ranking_answer_is_empty", R"({"prompt": "a", "answers": ["b", " "], "ranks": [1, 2]})",
                   "@/rankings.jsonl:2:1: answer 2 is empty"),
      ranking_case(
          "ranking_answer_of_the_user",
          R"({"prompt": "c", "answers": ["b", )" + user + R"(], "ranks": [1, 2]})",
          R"(@/rankings.jsonl:2:1: answer 2 does not end with a message of the assistant, but of "user")"),
      ranking_case(
          "ranking_with_a_system_beside_texts",
          R"({"system": "c", "prompt": "a", "answers": ["b", "c"], "ranks": [1, 2]})",
          R"(@/rankings.jsonl:2:12: "system" beside texts is not read: put it into the text, or give messages)"),
      ranking_case("ranking_prompt_of_no_messages",
                   R"({"prompt": [], "answers": ["b", "c"], "ranks": [1, 2]})",
                   "@/rankings.jsonl:2:12: the prompt has no messages"),
      ranking_case("ranking_with_fewer_ranks",
                   R"({"prompt": "a", "answers": ["b", "c", "d"], "ranks": [1, 2]})",
                   "@/rankings.jsonl:2:54: there are 3 answers and 2 ranks"),
      ranking_case("ranking_with_more_scores",
                   R"({"prompt": "a", "answers": ["b", "c"], "scores": [1, 2, 3]})",
                   "@/rankings.jsonl:2:50: there are 2 answers and 3 scores"),
      ranking_case("ranking_from_zero", R"({"prompt": "a", "answers": ["b", "c"], "ranks": [0, 1]})",
                   "@/rankings.jsonl:2:50: a rank is 1 (the best) or more, not 0"),
      ranking_case("ranking_rank_is_a_text", R"({"prompt": "a", "answers": ["b", "c"], "ranks": ["1", 2]})",
                   "@/rankings.jsonl:2:50: expected a number, found a string"),
      ranking_case("ranking_score_is_null", R"({"prompt": "a", "answers": ["b", "c"], "scores": [null, 2]})",
                   "@/rankings.jsonl:2:51: expected a number, found null"),
      ranking_case(
          "ranking_score_is_nan", R"({"prompt": "a", "answers": ["b", "c"], "scores": [NaN, 2]})",
          R"(@/rankings.jsonl:2:51: syntax error while parsing value - invalid literal; seen "NaN")"),
      ranking_case("ranking_all_tied", R"({"prompt": "a", "answers": ["b", "c"], "scores": [2, 2]})",
                   "@/rankings.jsonl:2:1: all answers are tied, so nothing is ranked"),
      ranking_case("ranking_against_itself",
                   R"({"prompt": "a", "answers": ["b", "c", "b"], "ranks": [1, 2, 3]})",
                   "@/rankings.jsonl:2:1: answer 1 equals answer 3 and is ranked apart from it"),
      {"ranking_with_a_margin",
       "reward",
       "loss.use_margin=true: unknown key; known are name",
       {{"pairs.jsonl", kRanking}},
       {"loss.name=plackett_luce", "loss.use_margin=true"},
       Seen::by_program},
  };
}

}  // namespace prefer::testing
