#!/usr/bin/env python3
"""Makes trl_reward.json: a score head on stories260K, and the losses and metrics of 20 steps of TRL's RewardTrainer from it,
fp32, pairs in file order. Three runs: centred, with margins, and centred with the end token as pad token, as the folder
itself has it. The pairs are those of trl_dpo.json.

Usage: make_trl_reward.py FOLDER_OF_STORIES260K_HF. Needs trl, transformers and datasets; versions are written into the file.
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
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerFast

HERE = pathlib.Path(__file__).parent
KEEP = ("loss", "grad_norm", "learning_rate", "accuracy", "margin", "mean_reward")


class InOrder(trl.RewardTrainer):
    def _get_train_sampler(self, *args, **kwargs):
        return SequentialSampler(self.train_dataset)


def run(folder, rows, pad="<unk>", **knobs):
    torch.set_num_threads(2)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=f"{folder}/tokenizer.json", bos_token="<s>", eos_token="</s>",
                                        unk_token="<unk>", pad_token=pad)
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1, dtype=torch.float32)
    with torch.no_grad():
        model.score.weight.normal_(0, (model.config.hidden_size + 1) ** -0.5)
    head = model.score.weight[0].tolist()
    trainer = InOrder(
        model=model,
        args=trl.RewardConfig(
            output_dir=tempfile.mkdtemp(), max_steps=20, per_device_train_batch_size=4, learning_rate=1e-4,
            lr_scheduler_type="linear", warmup_steps=4, max_length=256, logging_steps=1, report_to=[],
            gradient_checkpointing=False, bf16=False, use_cpu=True, save_strategy="no", disable_dropout=True, **knobs,
        ),
        train_dataset=datasets.Dataset.from_list(rows),
        processing_class=tokenizer,
    )
    tokens = [{k: row[k] for k in ("chosen_ids", "rejected_ids")} for row in trainer.train_dataset]
    trainer.train()
    steps = [{k: float(log[k]) for k in KEEP} for log in trainer.state.log_history if "loss" in log]
    return {"head": head, "pad": model.config.pad_token_id, "rows": rows, "tokens": tokens, "steps": steps}


def main(folder):
    pairs = json.loads((HERE / "trl_dpo.json").read_text())["pairs"]
    result = {"made_with": {"trl": trl.__version__, "transformers": transformers.__version__,
                            "torch": torch.__version__},
              "centred": run(folder, pairs, center_rewards_coefficient=0.01),
              "ends": run(folder, pairs, pad="</s>", center_rewards_coefficient=0.01),
              "margins": run(folder, [{**p, "margin": (i % 4) / 2} for i, p in enumerate(pairs)])}
    (HERE / "trl_reward.json").write_text(json.dumps(result, indent=0))


main(sys.argv[1])
