# Makes what both sides of benchmarks/ppo.sh read: a policy without an end token, so that every answer is as long as it may be;
# a reward model of the same weights with a score head drawn at random, which is the value model's start too; and prompts.
# Needs: pip install torch safetensors
import json
import pathlib
import shutil
import sys

import torch
from safetensors.torch import load_file, save_file

source, openings, count, target = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), pathlib.Path(sys.argv[4])
config = json.loads((source / "config.json").read_text())
rope = config.pop("rope_parameters", None)  # transformers 4 knows rope_theta only
if rope:
    if rope.get("rope_type", "default") != "default":
        sys.exit(f"{source}: rope_type {rope['rope_type']} is not for this comparison")
    config["rope_theta"] = rope["rope_theta"]
config |= {"eos_token_id": None, "pad_token_id": config["vocab_size"] - 1}
weights = load_file(source / "model.safetensors")


def write(name, more, tensors):
    folder = target / name
    folder.mkdir(parents=True)
    for file in source.glob("*token*"):
        shutil.copy(file, folder)
    (folder / "config.json").write_text(json.dumps(config | more, indent=2))
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


write("policy", {}, weights)
torch.manual_seed(0)
width = config["hidden_size"]
head = (torch.randn(1, width) / (width + 1) ** 0.5).to(next(iter(weights.values())).dtype)
architecture = config["architectures"][0].replace("ForCausalLM", "ForSequenceClassification")
write("reward", {"architectures": [architecture], "id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}},
      {name: tensor for name, tensor in weights.items() if name != "lm_head.weight"} | {"score.weight": head})
texts = [line for line in pathlib.Path(openings).read_text().splitlines() if line][:count]
if len(texts) < count:
    sys.exit(f"{openings}: only {len(texts)} lines are there, {count} prompts were asked for")
(target / "prompts.jsonl").write_text("".join(json.dumps({"prompt": text}) + "\n" for text in texts))
