"""What transformers makes of model folders: prints a JSON list with a folder's log-probs and, with a text, its ids.

Usage: transformers_reads.py ID,ID,... TEXT FOLDER...   (an empty TEXT: no tokenizer is loaded)
"""
import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

ids = torch.tensor([[int(i) for i in sys.argv[1].split(",")]])
result = []
for folder in sys.argv[3:]:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        logp = torch.log_softmax(model(ids).logits[0, :-1].double(), -1).gather(1, ids[0, 1:, None])[:, 0]
    entry = {"logprobs": logp.tolist(), "eos": model.generation_config.eos_token_id}
    if sys.argv[2]:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        entry["ids"] = tokenizer(sys.argv[2], add_special_tokens=False).input_ids
        entry["chat"] = tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False)
    result.append(entry)
print(json.dumps(result))
