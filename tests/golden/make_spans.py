"""Ids and assistant masks of rendered conversations by Hugging Face: the goldens of tests/text/spans_test.cpp.

Usage: make_spans.py SHARED_DATA SMOLLM2.gguf templates.json > spans.json    (needs transformers, tokenizers, gguf)
"""
import json
import pathlib
import sys

import tokenizers
import transformers

data, gguf = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
golden = json.loads(pathlib.Path(sys.argv[3]).read_text())
CHATS = {k: golden["chats"][k] for k in ("one", "turns", "system turns", "braces", "quotes", "emoji", "lines", "spaces", "empty")}
SMOLLM2 = data / "tokenizers/smollm2/tokenizer.json"
STORIES = data / "models/stories260K/hf/tokenizer.json"


def fast(file, template, **tokens):
    return transformers.PreTrainedTokenizerFast(tokenizer_file=str(file), chat_template=template, **tokens)


SETS = {
    "chatml": (fast(SMOLLM2, golden["own"]["chatml"], bos_token="<|im_start|>", eos_token="<|im_end|>"), "smollm2"),
    "blocks": (fast(SMOLLM2, golden["own"]["blocks"], bos_token="<|im_start|>", eos_token="<|im_end|>"), "smollm2"),
    "mistral": (fast(STORIES, golden["own"]["mistral"], bos_token="<s>", eos_token="</s>"), "stories260K"),
    "gguf": (transformers.AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name), "gguf"),
}
cases = []
for name, (tokenizer, which) in SETS.items():
    for chat, messages in CHATS.items():
        for prompt in (False, True):
            try:
                text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt)
            except Exception:
                continue
            case = {"template": name, "tokenizer": which, "chat": chat, "prompt": prompt, "text": text,
                    "ids": tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids}
            if name == "blocks" and not prompt:
                out = tokenizer.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
                case["mask"] = out["assistant_masks"]
            cases.append(case)

TEXTS = [("The capital of France is", " Paris."), ("Say", "ing so"), ("line\n", "\nnext"), ("", "alone"), ("x ", " y"),
         ("Human: hi\n\nAssistant:", " hello"), ("日", "本語"), ("a  ", "b")]
pairs = []
for which, file in (("smollm2", SMOLLM2), ("stories260K", STORIES)):
    tokenizer = tokenizers.Tokenizer.from_file(str(file))
    ids = lambda text: tokenizer.encode(text, add_special_tokens=False).ids
    pairs += [{"tokenizer": which, "prompt": p, "answer": a, "prompt ids": ids(p), "whole ids": ids(p + a)} for p, a in TEXTS]
json.dump({"made by": f"tokenizers {tokenizers.__version__}, transformers {transformers.__version__}", "cases": cases,
           "pairs": pairs}, sys.stdout, ensure_ascii=False, separators=(",", ":"))
