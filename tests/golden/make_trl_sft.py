#!/usr/bin/env python3
"""Makes trl_sft.json: the losses and metrics of 20 steps of TRL's SFTTrainer on stories260K, fp32, records in file order.

Two runs: on completions after their prompts, and on texts as a whole. The records are made of the pairs of trl_dpo.json.

Usage: make_trl_sft.py FOLDER_OF_STORIES260K_HF. Needs trl, transformers and datasets; versions are written into the file.
"""
import json
import pathlib
import sys
import tempfile

import datasets
import torch
import transformers
import trl
from torch.utils.data import SequentialSampler
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

HERE = pathlib.Path(__file__).parent
KEEP = ("loss", "grad_norm", "learning_rate", "entropy", "mean_token_accuracy", "num_tokens")


class InOrder(trl.SFTTrainer):
    def _get_train_sampler(self, *args, **kwargs):
        return SequentialSampler(self.train_dataset)


def run(folder, rows):
    torch.manual_seed(0)
    torch.set_num_threads(2)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=f"{folder}/tokenizer.json", bos_token="<s>", eos_token="</s>",
                                        unk_token="<unk>", pad_token="<unk>")
    trainer = InOrder(
        model=AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
        args=trl.SFTConfig(
            output_dir=tempfile.mkdtemp(), max_steps=20, per_device_train_batch_size=4, learning_rate=1e-4,
            lr_scheduler_type="linear", warmup_steps=4, max_length=256, logging_steps=1, report_to=[],
            gradient_checkpointing=False, bf16=False, use_cpu=True, save_strategy="no",
        ),
        train_dataset=datasets.Dataset.from_list(rows),
        processing_class=tokenizer,
    )
    tokens = [list(row["input_ids"]) for row in trainer.train_dataset]
    trainer.train()
    steps = [{k: float(log[k]) for k in KEEP} for log in trainer.state.log_history if "loss" in log]
    return {"rows": rows, "tokens": tokens, "steps": steps}


def main(folder):
    pairs = json.loads((HERE / "trl_dpo.json").read_text())["pairs"]
    completions = [{"prompt": p["prompt"], "completion": p["chosen"]} for p in pairs]
    texts = [{"text": p["prompt"] + p["rejected"]} for p in pairs]
    result = {"made_with": {"trl": trl.__version__, "transformers": transformers.__version__,
                            "torch": torch.__version__},
              "completions": run(folder, completions), "texts": run(folder, texts)}
    (HERE / "trl_sft.json").write_text(json.dumps(result, indent=0))


main(sys.argv[1])
