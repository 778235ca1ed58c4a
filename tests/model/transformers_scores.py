"""What transformers' sequence classifiers say of a padded batch: prints a JSON list with a folder's scores.

Usage: transformers_scores.py ID,ID,...:ID,...:... PAD_ID FOLDER...   (texts of token ids, padded on the right; PAD_ID
may be "own": the pad token of the first folder's tokenizer)
"""
import json
import sys

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

texts = [[int(i) for i in text.split(",")] for text in sys.argv[1].split(":")]
pad = AutoTokenizer.from_pretrained(sys.argv[3]).pad_token_id if sys.argv[2] == "own" else int(sys.argv[2])
width = max(map(len, texts))
ids = torch.tensor([text + [pad] * (width - len(text)) for text in texts])
mask = torch.tensor([[1] * len(text) + [0] * (width - len(text)) for text in texts])
result = []
for folder in sys.argv[3:]:
    model, loading = AutoModelForSequenceClassification.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True)
    left = [sorted(loading[key]) for key in ("missing_keys", "unexpected_keys", "mismatched_keys")]
    with torch.no_grad():
        scores = model(input_ids=ids, attention_mask=mask).logits[:, 0]
    result.append({"scores": scores.double().tolist(), "left": left, "labels": model.config.num_labels,
                   "pad": pad})
print(json.dumps(result))
