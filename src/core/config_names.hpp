// What knobs are called elsewhere.
#pragma once

#include <string_view>
#include <utility>

namespace prefer {

/// Keys of TRL and transformers, and those of ours that come nearest; a value may have to change with the
/// key. One that a program does not have is passed over.
inline constexpr std::pair<std::string_view, std::string_view> kNamesElsewhere[] = {
    {"bf16", "dtype"},
    {"dataset_name", "train"},
    {"eval_dataset", "eval"},
    {"eval_steps", "eval_every"},
    {"gradient_checkpointing", "activation_checkpointing"},
    {"logging_steps", "log_every"},
    {"loss_type", "loss.name"},
    {"max_completion_length", "response_length"},
    {"max_new_tokens", "response_length"},
    {"max_steps", "steps"},
    {"model_name_or_path", "model"},
    {"num_train_epochs", "epochs"},
    {"num_train_epochs", "iterations"},
    {"output_dir", "output"},
    {"per_device_train_batch_size", "batch_size"},
    {"precompute_ref_log_probs", "reference_logprobs"},
    {"ref_model", "reference"},
    {"resume_from_checkpoint", "resume"},
    {"reward_model_path", "reward_model"},
    {"save_steps", "checkpoint.every"},
    {"save_total_limit", "checkpoint.keep"},
    {"torch_dtype", "dtype"},
    {"total_episodes", "iterations"},
    {"train_dataset", "train"},
};

}  // namespace prefer
