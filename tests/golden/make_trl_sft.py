#!/usr/bin/env python3
"""Makes trl_sft.json: the losses and metrics of 20 steps of TRL's SFTTrainer on stories260K, fp32, records in file order.

A run for each way to choose what is learnt: completions after their prompts, prompts and completions, texts as a whole,
the assistant's turns of conversations, all of them, and the last turn alone. TRL has no mode for the last: its trainer is
given the labels, made here of Hugging Face's assistant mask. The records are made of the pairs of trl_dpo.json.

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
TEMPLATE = """{{ bos_token }}{% for m in messages %}{{ m.role }}:
{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{{ eos_token }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}
{% endfor %}{% if add_generation_prompt %}assistant:
{% endif %}"""
KEEP = ("loss", "grad_norm", "learning_rate", "entropy", "mean_token_accuracy", "num_tokens")


class InOrder(trl.SFTTrainer):
    def _get_train_sampler(self, *args, **kwargs):
        return SequentialSampler(self.train_dataset)


def tokenizer_of(folder):
    return PreTrainedTokenizerFast(tokenizer_file=f"{folder}/tokenizer.json", bos_token="<s>", eos_token="</s>",
                                   unk_token="<unk>", pad_token="<unk>", chat_template=TEMPLATE)


def run(folder, rows, loss_on="auto", dataset=None, **knobs):
    torch.manual_seed(0)
    torch.set_num_threads(2)
    trainer = InOrder(
        model=AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
        args=trl.SFTConfig(
            output_dir=tempfile.mkdtemp(), max_steps=20, per_device_train_batch_size=4, learning_rate=1e-4,
            lr_scheduler_type="linear", warmup_steps=4, max_length=256, logging_steps=1, report_to=[],
            gradient_checkpointing=False, bf16=False, use_cpu=True, save_strategy="no", **knobs,
        ),
        train_dataset=datasets.Dataset.from_list(dataset or rows),
        processing_class=tokenizer_of(folder),
    )
    tokens = [list(row["input_ids"]) for row in trainer.train_dataset]
    trainer.train()
    steps = [{k: float(log[k]) for k in KEEP} for log in trainer.state.log_history if "loss" in log]
    return {"loss_on": loss_on, "rows": rows, "tokens": tokens, "steps": steps}


def last_turns(folder, rows):
    """Ids, and as labels those of the last turn of the assistant."""
    tokenizer = tokenizer_of(folder)
    for row in rows:
        out = tokenizer.apply_chat_template(row["messages"], return_dict=True, return_assistant_tokens_mask=True)
        ids, mask = out["input_ids"], out["assistant_masks"]
        end = len(mask) - mask[::-1].index(1)
        begin = end
        while mask[begin - 1]:
            begin -= 1
        yield {"input_ids": ids, "labels": [-100] * begin + ids[begin:end] + [-100] * (len(ids) - end)}


def conversations(pairs):
    """One, two or three turns; the last of each is kind, the others are not."""
    for i, p in enumerate(pairs):
        turns = [p["rejected"].strip()] * (i % 3) + [p["chosen"].strip()]
        yield {"messages": [m for turn in turns for m in ({"role": "user", "content": p["prompt"]},
                                                          {"role": "assistant", "content": turn})]}


def main(folder):
    pairs = json.loads((HERE / "trl_dpo.json").read_text())["pairs"]
    completions = [{"prompt": p["prompt"], "completion": p["chosen"]} for p in pairs]
    texts = [{"text": p["prompt"] + p["rejected"]} for p in pairs]
    talks = list(conversations(pairs))
    result = {"made_with": {"trl": trl.__version__, "transformers": transformers.__version__,
                            "torch": torch.__version__},
              "template": TEMPLATE,
              "completions": run(folder, completions), "texts": run(folder, texts),
              "prompts and completions": run(folder, completions, "all", completion_only_loss=False),
              "turns": run(folder, talks, "assistant", assistant_only_loss=True),
              "conversations": run(folder, talks, "all"),
              "last turns": run(folder, talks, "last", list(last_turns(folder, talks)))}
    (HERE / "trl_sft.json").write_text(json.dumps(result, indent=0))


main(sys.argv[1])
