# DPO steps of TRL on a model folder and a file of pairs, in file order, as benchmarks/dpo.sh has prefer do them: the loss and the
# end of each step, when the first forward pass began, the token ids of every pair. Needs benchmarks/peers/requirements.txt.
import argparse
import json
import os
import time

import datasets
import torch
import transformers
import trl
from torch.utils.data import SequentialSampler

parser = argparse.ArgumentParser()
parser.add_argument("model", help="Hugging Face folder")
parser.add_argument("pairs", help="JSONL of prompt, chosen, rejected as lists of messages")
parser.add_argument("output", help="scratch folder")
parser.add_argument("--dtype", default="float32")
parser.add_argument("--steps", type=int, default=20)
parser.add_argument("--batch", type=int, default=4)
parser.add_argument("--threads", type=int, default=os.cpu_count())
arguments = parser.parse_args()
torch.set_num_threads(arguments.threads)
transformers.utils.logging.disable_progress_bar()


class InOrder(trl.DPOTrainer):
    def _get_train_sampler(self, *args, **kwargs):
        return SequentialSampler(self.train_dataset)


class Clock(transformers.TrainerCallback):
    def __init__(self):
        self.forward = None
        self.ends = []

    def on_forward(self, *args):
        self.forward = self.forward or time.time()

    def on_step_end(self, *args, **kwargs):
        self.ends.append(time.time())


def sides(batch):
    """Prompt and completion of each row, without padding: the chosen ones, then the rejected."""
    for ids, there, learnt in zip(batch["input_ids"], batch["attention_mask"], batch["completion_mask"]):
        yield ids[there > learnt].tolist(), ids[learnt == 1].tolist()


clock = Clock()
trainer = InOrder(
    model=transformers.AutoModelForCausalLM.from_pretrained(arguments.model, dtype=getattr(torch, arguments.dtype)),
    args=trl.DPOConfig(
        output_dir=arguments.output, max_steps=arguments.steps, per_device_train_batch_size=arguments.batch,
        learning_rate=5e-7, lr_scheduler_type="constant", warmup_steps=0, beta=0.1, max_length=512, logging_steps=1,
        report_to=[], gradient_checkpointing=False, bf16=False, use_cpu=True, save_strategy="no", disable_dropout=True,
        disable_tqdm=True,
    ),
    train_dataset=datasets.Dataset.from_list([json.loads(line) for line in open(arguments.pairs)]),
    processing_class=transformers.AutoTokenizer.from_pretrained(arguments.model),
    callbacks=[clock],
)
trainer.model.register_forward_pre_hook(clock.on_forward)
trainer.train()
pairs = []
for batch in trainer.get_train_dataloader():  # not of train_dataset, which the collator may still truncate
    rows = list(sides(batch))
    pairs += zip(rows[:len(rows) // 2], rows[len(rows) // 2:])
losses = [log["loss"] for log in trainer.state.log_history if "loss" in log]
print(json.dumps({
    "versions": f"trl {trl.__version__}, transformers {transformers.__version__}, torch {torch.__version__}",
    "losses": losses,
    "pairs": pairs,
    "first_forward": clock.forward,
    "step_ends": clock.ends,
}))
