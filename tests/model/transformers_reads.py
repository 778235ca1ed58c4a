"""What transformers makes of model folders: their logits into a safetensors file, one tensor a folder by its place in the
list; and a JSON list with a folder's end tokens and, with a text, its ids.

Usage: transformers_reads.py ID,ID,... TEXT LOGITS FOLDER...   (an empty TEXT: no tokenizer is loaded)
"""
import json
import sys

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

ids = torch.tensor([[int(i) for i in sys.argv[1].split(",")]])
result, logits = [], {}
for folder in sys.argv[4:]:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        logits[str(len(result))] = model(ids).logits[0].contiguous()  # [T, V]
    entry = {"eos": model.generation_config.eos_token_id}
    if sys.argv[2]:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        entry["ids"] = tokenizer(sys.argv[2], add_special_tokens=False).input_ids
        entry["chat"] = tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False)
    result.append(entry)
save_file(logits, sys.argv[3])
print(json.dumps(result))
