#!/usr/bin/env python3
"""Makes scores.json: what transformers says of the first 100 stories under stories260K, fp32: tokens and nats of each.

Usage: make_scores.py FOLDER_OF_SHARED_DATA. Needs torch and transformers; versions are written into the file.
Stories stand between <|endoftext|> lines, without blank lines and the white space around them; BOS before each.
"""
import gzip
import json
import sys

import torch
import transformers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast


def main(data):
    torch.set_num_threads(1)
    folder = f"{data}/models/stories260K/hf"
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=f"{folder}/tokenizer.json")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with gzip.open(f"{data}/text/tinystories-2316.txt.gz", "rt", encoding="utf-8") as file:
        texts = file.read().split("<|endoftext|>")[:100]
    stories = ["\n".join(line for line in text.split("\n") if line.strip()).strip() for text in texts]
    scores = []
    for story in stories:
        ids = [1] + [i for i in tokenizer.encode(story, add_special_tokens=False)]
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0].double()
        logp = logits[:-1].log_softmax(-1).gather(1, torch.tensor(ids[1:])[:, None])
        scores.append({"tokens": len(ids), "nll": -float(logp.sum())})
    made_with = {"transformers": transformers.__version__, "torch": torch.__version__}
    json.dump({"made_with": made_with, "stories": scores}, open("scores.json", "w"), indent=0)
    total = sum(s["nll"] for s in scores), sum(s["tokens"] - 1 for s in scores)
    print(total[0] / total[1], "nats a token; longest", max(s["tokens"] for s in scores))


main(sys.argv[1])
