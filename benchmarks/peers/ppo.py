# PPO iterations of TRL on the folders of prepare_ppo.py, as benchmarks/ppo.sh has prefer do them: when each began, had its
# answers, began to learn and ended. Needs benchmarks/peers/requirements-ppo.txt.
import argparse
import json
import os
import time

import datasets
import torch
import transformers
import trl
from trl.trainer import ppo_trainer

parser = argparse.ArgumentParser()
parser.add_argument("folder", help="with policy, reward and prompts.jsonl")
parser.add_argument("output", help="scratch folder")
parser.add_argument("--dtype", default="bfloat16")
parser.add_argument("--iterations", type=int, default=4)
parser.add_argument("--new-tokens", type=int, default=48)
parser.add_argument("--threads", type=int, default=os.cpu_count())
arguments = parser.parse_args()
torch.set_num_threads(arguments.threads)
transformers.utils.logging.disable_progress_bar()

tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=f"{arguments.folder}/policy/tokenizer.json", padding_side="left")
vocabulary = json.load(open(f"{arguments.folder}/policy/config.json"))["vocab_size"]
tokenizer.pad_token = tokenizer.eos_token = tokenizer.convert_ids_to_tokens(vocabulary - 1)  # padding wants one; nothing ends
prompts = [tokenizer(json.loads(line)["prompt"])["input_ids"] for line in open(f"{arguments.folder}/prompts.jsonl")]
assert not any(vocabulary - 1 in prompt for prompt in prompts)
dataset = datasets.Dataset.from_dict({"input_ids": prompts})


def load(kind, name):
    return kind.from_pretrained(f"{arguments.folder}/{name}", dtype=getattr(torch, arguments.dtype))


def policy():
    return load(transformers.AutoModelForCausalLM, "policy")


def scorer():
    return load(transformers.AutoModelForSequenceClassification, "reward")


class Clock(transformers.TrainerCallback):
    """Seconds of Unix time at the marks of each iteration."""

    def __init__(self):
        self.iterations = []

    def mark(self, name):
        self.iterations[-1].setdefault(name, time.time())

    def on_train_begin(self, *args, **kwargs):
        self.iterations.append({"begin": time.time()})

    def on_step_end(self, *args, **kwargs):
        self.mark("end")
        self.iterations.append({"begin": time.time()})


clock = Clock()
generate, forward = ppo_trainer.batch_generation, ppo_trainer.forward


def timed_generation(*args, **kwargs):
    result = generate(*args, **kwargs)
    clock.mark("answered")
    return result


def timed_forward(model, *args, **kwargs):
    if isinstance(model, ppo_trainer.PolicyAndValueWrapper):  # the reference has none
        clock.mark("learns")
    return forward(model, *args, **kwargs)


ppo_trainer.batch_generation, ppo_trainer.forward = timed_generation, timed_forward
trainer = trl.PPOTrainer(
    args=trl.PPOConfig(
        output_dir=arguments.output, per_device_train_batch_size=len(prompts), gradient_accumulation_steps=1,
        total_episodes=arguments.iterations * len(prompts), num_ppo_epochs=1, num_mini_batches=1,
        response_length=arguments.new_tokens, temperature=1.0, learning_rate=1e-6, lr_scheduler_type="constant", kl_coef=0.05,
        num_sample_generations=0, gradient_checkpointing=False, bf16=False, use_cpu=True, report_to=[], save_strategy="no",
        disable_tqdm=True, logging_steps=1,
    ),
    processing_class=tokenizer, model=policy(), ref_model=policy(), reward_model=scorer(), value_model=scorer(),
    train_dataset=dataset, eval_dataset=dataset, callbacks=[clock],
)
trainer.train()
print(json.dumps({
    "versions": f"trl {trl.__version__}, transformers {transformers.__version__}, torch {torch.__version__}",
    "iterations": clock.iterations[:-1],
    "scores": [log["objective/scores"] for log in trainer.state.log_history if "objective/scores" in log],
    "kl": [log["objective/kl"] for log in trainer.state.log_history if "objective/kl" in log],
}))
