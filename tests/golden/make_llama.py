"""Tiny random models of each family as transformers saves them, with its logits, loss and gradients.

Run: python tests/golden/make_llama.py [SmolLM2-135M-Instruct.Q4_1.gguf]   (torch 2.11, transformers 5.23, safetensors)
Writes tests/golden/llama/NAME/{config.json,generation_config.json,model.safetensors,golden.safetensors} and, where the
GGUF is given, tests/golden/llama/smollm2.json: log-probs of a few texts and a greedy continuation.
"""
import json
import pathlib
import sys

import torch
import transformers
from safetensors.torch import save_file
from transformers import LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

OUT = pathlib.Path(__file__).parent / "llama"
SIZES = dict(vocab_size=32, hidden_size=16, intermediate_size=12, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=1e-5, initializer_range=0.3,
             bos_token_id=1, eos_token_id=2)
LLAMA3 = dict(rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=16)
MODELS = {
    "llama": LlamaConfig(**SIZES, tie_word_embeddings=True),
    "llama3": LlamaConfig(**SIZES, attention_bias=True, rope_parameters=LLAMA3),
    "mistral": MistralConfig(**SIZES, sliding_window=4, head_dim=6),
    "qwen2": Qwen2Config(**SIZES, tie_word_embeddings=True),
    "qwen3": Qwen3Config(**SIZES, head_dim=8),
}


def tiny(name, config, seed):
    torch.manual_seed(seed)
    config._attn_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():  # norms and biases begin as ones and zeros: make them matter
        for key, weight in model.named_parameters():
            if weight.dim() == 1:
                weight.add_(torch.randn_like(weight) * 0.2)
    ids = torch.randint(3, config.vocab_size, (12,))
    out = model(input_ids=ids[None], labels=ids[None])
    out.loss.backward()
    folder = OUT / name
    model.save_pretrained(folder)
    golden = {"ids": ids, "logits": out.logits[0].detach(), "loss": out.loss.detach()}
    for key, weight in model.named_parameters():
        golden["grad." + key] = weight.grad
    save_file({k: v.contiguous() for k, v in golden.items()}, folder / "golden.safetensors",
              {"made_by": f"tests/golden/make_llama.py, torch {torch.__version__}, transformers {transformers.__version__}"})


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
    made = f"tests/golden/make_llama.py, torch {torch.__version__}, transformers {transformers.__version__}"
    with open(OUT / "smollm2.json", "w") as file:
        json.dump({"made_by": made, "file": path.name, "cases": cases, "greedy": greedy}, file, indent=1)


if __name__ == "__main__":
    for seed, (name, config) in enumerate(MODELS.items()):
        tiny(name, config, seed)
    if len(sys.argv) > 1:
        smollm2(sys.argv[1])
