"""Tiny random models of each family as transformers saves them, with its logits, loss and gradients in float32.

Run: python tests/golden/make_llama.py [SmolLM2-135M-Instruct.Q4_1.gguf]   (torch 2.11, transformers 5.23, safetensors)
Writes tests/golden/llama/NAME/{config.json,model.safetensors,golden.safetensors} and, where the GGUF is given,
tests/golden/llama/smollm2.json: log-probs of a few texts and a greedy continuation.
"""
import json
import pathlib
import sys

import torch
import transformers
from safetensors.torch import save_file
from transformers import LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

OUT = pathlib.Path(__file__).parent / "llama"
MADE_BY = f"tests/golden/make_llama.py, torch {torch.__version__}, transformers {transformers.__version__}"
SIZES = dict(vocab_size=24, hidden_size=16, intermediate_size=12, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=1e-5, initializer_range=0.3,
             bos_token_id=1, eos_token_id=2, tie_word_embeddings=False)
WINDOW = dict(use_sliding_window=True, sliding_window=3, max_window_layers=0)


def rope(theta, **more):
    return dict(rope_parameters=dict(rope_type="default", rope_theta=theta) | more)


LLAMA3 = rope(500000.0, rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=16)
FAMILIES = {
    "llama": (LlamaConfig, dict(num_key_value_heads=4, rms_norm_eps=1e-6) | rope(10000.0)),  # Llama 1 and 2
    "llama3": (LlamaConfig, LLAMA3),
    "smollm2": (LlamaConfig, dict(tie_word_embeddings=True, pad_token_id=2) | rope(100000.0)),
    "mistral": (MistralConfig, dict(sliding_window=4) | rope(10000.0)),
    "qwen2": (Qwen2Config, dict(tie_word_embeddings=True, rms_norm_eps=1e-6) | rope(1000000.0)),
    "qwen3": (Qwen3Config, dict(head_dim=8) | rope(1000000.0)),
}
ODD = {
    "": {},
    "-one_kv_head": dict(num_key_value_heads=1),
    "-odd_width": dict(hidden_size=18, intermediate_size=10, num_attention_heads=3, num_key_value_heads=3),
    "-one_layer": dict(num_hidden_layers=1),
}
MORE = {
    "llama-biases": (LlamaConfig, dict(attention_bias=True)),
    "llama-head_dim_eps": (LlamaConfig, dict(head_dim=10, rms_norm_eps=0.05)),
    "llama3-factor32": (LlamaConfig, rope(500000.0, **(LLAMA3["rope_parameters"] | dict(factor=32.0)))),
    "mistral-no_window": (MistralConfig, dict(sliding_window=None, head_dim=6) | rope(1000000.0)),  # v0.3
    "qwen2-window": (Qwen2Config, WINDOW),
    "qwen3-biases_window": (Qwen3Config, dict(attention_bias=True, head_dim=6) | WINDOW),
}


def models():
    for family, (kind, options) in FAMILIES.items():
        for variant, odd in ODD.items():
            yield family + variant, kind(**(SIZES | options | odd))
        tied = options.get("tie_word_embeddings", False)
        yield family + ("-untied" if tied else "-tied"), kind(**(SIZES | options | dict(tie_word_embeddings=not tied)))
    for name, (kind, options) in MORE.items():
        yield name, kind(**(SIZES | options))


def sequences():
    """Three that begin alike, two of them further, and one alone: longer than the windows on either side."""
    ids = lambda n: torch.randint(1, SIZES["vocab_size"], (n,))
    prefix, fork = ids(7), ids(2)
    return [torch.cat([prefix, fork, ids(3)]), torch.cat([prefix, ids(5)]), torch.cat([prefix, fork, ids(4)]), ids(9)]


def tiny(name, config, seed):
    torch.manual_seed(seed)
    config._attn_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():  # norms and biases begin as ones and zeros: make them matter; store half the bytes
        for weight in model.parameters():
            if weight.dim() == 1:
                weight.add_(torch.randn_like(weight) * 0.2)
            weight.copy_(weight.bfloat16())
    model.model.embed_tokens.padding_idx = None  # it would keep the pad token's embedding from its gradient
    texts = sequences()
    golden, scored = {}, sum(len(ids) - 1 for ids in texts)
    loss = 0
    for i, ids in enumerate(texts):
        out = model(input_ids=ids[None], labels=ids[None])
        loss = loss + out.loss * (len(ids) - 1) / scored
        golden |= {f"ids.{i}": ids, f"logits.{i}": out.logits[0].detach()}
    loss.backward()
    golden |= {"loss": loss.detach()} | {"grad." + key: weight.grad.clone() for key, weight in model.named_parameters()}
    folder = OUT / name
    model.to(torch.bfloat16).save_pretrained(folder)
    (folder / "generation_config.json").unlink()
    save_file({k: v.contiguous() for k, v in golden.items()}, folder / "golden.safetensors", {"made_by": MADE_BY})


TEXTS = [
    "The capital of France is Paris.",
    "Once upon a time, there was a little girl who lived in a village near the forest.",
    "def add(a, b):\n    return a + b\n",
    "<|im_start|>user\nWhat is 2 + 2?<|im_end|>\n<|im_start|>assistant\n4<|im_end|>\n",
    "Água, naïveté, 東京 and 12345 are words; \"quotes\" aren't.",
]


def smollm2(gguf):
    path = pathlib.Path(gguf)
    load = dict(gguf_file=path.name)
    tokenizer = transformers.AutoTokenizer.from_pretrained(path.parent, **load)
    model = transformers.AutoModelForCausalLM.from_pretrained(path.parent, dtype=torch.float32, attn_implementation="eager", **load)
    cases = []
    with torch.no_grad():
        for text in TEXTS:
            ids = tokenizer(text, return_tensors="pt", add_special_tokens=False).input_ids
            logp = torch.log_softmax(model(ids).logits[0, :-1].double(), -1)
            cases.append({"text": text, "ids": ids[0].tolist(),
                          "logprobs": [round(x, 6) for x in logp.gather(1, ids[0, 1:, None])[:, 0].tolist()]})
        ids = tokenizer("The capital of France is", return_tensors="pt", add_special_tokens=False).input_ids
        out = model.generate(ids, max_new_tokens=20, do_sample=False)[0, ids.shape[1]:].tolist()
    greedy = {"prompt": ids[0].tolist(), "tokens": out, "text": tokenizer.decode(out)}
    with open(OUT / "smollm2.json", "w") as file:
        json.dump({"made_by": MADE_BY, "file": path.name, "cases": cases, "greedy": greedy}, file, indent=1)


if __name__ == "__main__":
    for seed, (name, config) in enumerate(models()):
        tiny(name, config, seed)
    if len(sys.argv) > 1:
        smollm2(sys.argv[1])
