#!/usr/bin/env python3
"""Makes trl_dpo.json: the losses and metrics of 20 DPO steps of TRL on stories260K, fp32, pairs in file order.

Usage: make_trl_dpo.py FOLDER_OF_STORIES260K_HF. Needs trl, transformers and datasets; versions are written into the file.
"""
import json
import sys
import tempfile

import datasets
import torch
import transformers
import trl
from torch.utils.data import SequentialSampler
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

NAMES = ["Tom", "Lily", "Ben", "Mia", "Sam", "Anna"]
THINGS = ["a red ball", "a small dog", "an old tree", "a big box"]


def pairs():
    """Twenty-four pairs: a kind ending and an unkind one, of unequal lengths."""
    for i, name in enumerate(NAMES):
        for j, thing in enumerate(THINGS):
            yield {
                "prompt": f"One day, {name} saw {thing}.",
                "chosen": f" {name} was very happy." + " They played all day." * (j % 3),
                "rejected": f" {name} was sad and" + " cried and" * (i % 4) + " went home.",
            }


class InOrder(trl.DPOTrainer):
    def _get_train_sampler(self, *args, **kwargs):
        return SequentialSampler(self.train_dataset)


def main(folder):
    torch.manual_seed(0)
    torch.set_num_threads(2)
    rows = list(pairs())
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=f"{folder}/tokenizer.json", bos_token="<s>", eos_token="</s>",
                                        unk_token="<unk>", pad_token="<unk>")
    trainer = InOrder(
        model=AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
        args=trl.DPOConfig(
            output_dir=tempfile.mkdtemp(), max_steps=20, per_device_train_batch_size=4, learning_rate=1e-4,
            lr_scheduler_type="linear", warmup_steps=4, beta=0.1, max_length=256, logging_steps=1, report_to=[],
            gradient_checkpointing=False, bf16=False, use_cpu=True, save_strategy="no", disable_dropout=True,
        ),
        train_dataset=datasets.Dataset.from_list(rows),
        processing_class=tokenizer,
    )
    tokenised = [{k: row[k] for k in ("prompt_ids", "chosen_ids", "rejected_ids")} for row in trainer.train_dataset]
    trainer.train()
    keep = ("loss", "grad_norm", "learning_rate", "rewards/chosen", "rewards/rejected", "rewards/margins",
            "logps/chosen", "logps/rejected")
    steps = [{k: float(log[k]) for k in keep} for log in trainer.state.log_history if "loss" in log]
    json.dump(
        {"made_with": {"trl": trl.__version__, "transformers": transformers.__version__, "torch": torch.__version__},
         "pairs": rows, "tokens": tokenised, "steps": steps},
        open("trl_dpo.json", "w"), indent=0)


main(sys.argv[1])
