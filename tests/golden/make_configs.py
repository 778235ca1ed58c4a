"""What transformers makes of config.json of many shapes: the models by which families are known, and what is left out.

Run: python tests/golden/make_configs.py   (torch 2.11, transformers 5.23)
Writes tests/golden/configs.json: each config as it was read, and sizes, weights, frequencies and tokens that follow.
"""
import json
import pathlib
import tempfile

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

OUT = pathlib.Path(__file__).parent / "configs.json"
TINY = dict(vocab_size=32, hidden_size=256, intermediate_size=12, num_hidden_layers=2, num_attention_heads=32)
LLAMA3 = dict(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192)


def sizes(v, d, i, l, h, k, **more):
    return dict(vocab_size=v, hidden_size=d, intermediate_size=i, num_hidden_layers=l, num_attention_heads=h,
                num_key_value_heads=k) | more


def full(layers):
    return ["full_attention"] * layers


CONFIGS = {
    # Sizes of published models, in the spelling of their day.
    "Llama 7B": dict(model_type="llama", **sizes(32000, 4096, 11008, 32, 32, 32), rms_norm_eps=1e-6, pad_token_id=0),
    "Llama 2 70B": dict(model_type="llama", **sizes(32000, 8192, 28672, 80, 64, 8), rms_norm_eps=1e-5, rope_scaling=None,
                        max_position_embeddings=4096, pretraining_tp=1, torch_dtype="float16"),
    "Llama 3 8B": dict(model_type="llama", **sizes(128256, 4096, 14336, 32, 32, 8), rope_theta=500000.0, rms_norm_eps=1e-5,
                       max_position_embeddings=8192, bos_token_id=128000, eos_token_id=128001),
    "Llama 3.1 8B": dict(model_type="llama", **sizes(128256, 4096, 14336, 32, 32, 8), rope_theta=500000.0,
                         rms_norm_eps=1e-5, max_position_embeddings=131072, rope_scaling=LLAMA3 | dict(rope_type="llama3"),
                         mlp_bias=False, bos_token_id=128000, eos_token_id=[128001, 128008, 128009]),
    "Llama 3.2 1B": dict(model_type="llama", **sizes(128256, 2048, 8192, 16, 32, 8, head_dim=64), rope_theta=500000.0,
                         rms_norm_eps=1e-5, max_position_embeddings=131072, tie_word_embeddings=True,
                         rope_scaling=LLAMA3 | dict(rope_type="llama3", factor=32.0), torch_dtype="bfloat16"),
    "SmolLM2 135M": dict(model_type="llama", **sizes(49152, 576, 1536, 30, 9, 3), rope_theta=100000, rms_norm_eps=1e-5,
                         max_position_embeddings=8192, tie_word_embeddings=True, pad_token_id=2, rope_interleaved=False),
    "Mistral 7B v0.1": dict(model_type="mistral", **sizes(32000, 4096, 14336, 32, 32, 8), rope_theta=10000.0,
                            rms_norm_eps=1e-5, max_position_embeddings=32768, sliding_window=4096),
    "Mistral 7B v0.3": dict(model_type="mistral", **sizes(32768, 4096, 14336, 32, 32, 8), rope_theta=1000000.0,
                            rms_norm_eps=1e-5, max_position_embeddings=32768, sliding_window=None),
    "Mistral Nemo": dict(model_type="mistral", **sizes(131072, 5120, 14336, 40, 32, 8, head_dim=128), rope_theta=1000000.0,
                         rms_norm_eps=1e-5, max_position_embeddings=131072, sliding_window=None),
    "Qwen2.5 0.5B": dict(model_type="qwen2", **sizes(151936, 896, 4864, 24, 14, 2), rope_theta=1000000.0, rms_norm_eps=1e-6,
                         max_position_embeddings=32768, max_window_layers=24, sliding_window=32768,
                         use_sliding_window=False, tie_word_embeddings=True, bos_token_id=151643, eos_token_id=151645),
    "Qwen3 0.6B": dict(model_type="qwen3", **sizes(151936, 1024, 3072, 28, 16, 8, head_dim=128), rope_theta=1000000,
                       rms_norm_eps=1e-6, max_position_embeddings=40960, max_window_layers=28, sliding_window=None,
                       use_sliding_window=False, attention_bias=False, tie_word_embeddings=True, rope_scaling=None),
    "Qwen3 0.6B as transformers 5 writes it": dict(
        model_type="qwen3", **sizes(151936, 1024, 3072, 28, 16, 8, head_dim=128), rms_norm_eps=1e-6, dtype="bfloat16",
        max_position_embeddings=40960, layer_types=full(28), use_sliding_window=False, sliding_window=None,
        rope_parameters=dict(rope_theta=1000000, rope_type="default"), tie_word_embeddings=True, pad_token_id=None),
    # What each family has where config.json is silent, and where it says null.
    "llama, silent": dict(model_type="llama", **TINY),
    "mistral, silent": dict(model_type="mistral", **TINY),
    "qwen2, silent": dict(model_type="qwen2", **TINY),
    "qwen3, silent": dict(model_type="qwen3", **TINY),
    "llama, null": dict(model_type="llama", **TINY, num_key_value_heads=None, head_dim=None, rope_parameters=None,
                        bos_token_id=None, eos_token_id=None),
    "mistral, null": dict(model_type="mistral", **TINY, head_dim=None, sliding_window=None),
    "qwen2, null": dict(model_type="qwen2", **TINY, num_key_value_heads=None, sliding_window=None, use_sliding_window=True),
    "qwen3, null": dict(model_type="qwen3", **TINY, num_key_value_heads=None),
    # What one key says of another.
    "llama, a window is not its": dict(model_type="llama", **TINY, sliding_window=4),
    "llama, biases": dict(model_type="llama", **TINY, attention_bias=True),
    "mistral, biases are not its": dict(model_type="mistral", **TINY, attention_bias=True),
    "qwen2, biases whatever is said": dict(model_type="qwen2", **TINY, attention_bias=False),
    "qwen2, head_dim": dict(model_type="qwen2", **TINY, head_dim=12),
    "qwen3, biases": dict(model_type="qwen3", **TINY, attention_bias=True),
    "qwen2, window by default": dict(model_type="qwen2", **TINY, use_sliding_window=True, max_window_layers=0),
    "qwen2, window from a layer beyond": dict(model_type="qwen2", **TINY, use_sliding_window=True, sliding_window=8,
                                              max_window_layers=2),
    "qwen2, window by layer_types": dict(model_type="qwen2", **TINY, use_sliding_window=True, sliding_window=8,
                                         max_window_layers=28, layer_types=["sliding_attention"] * 2),
    "qwen3, layer_types without window": dict(model_type="qwen3", **TINY, use_sliding_window=True, sliding_window=8,
                                              max_window_layers=0, layer_types=full(2)),
    "llama, rope_scaling goes first": dict(model_type="llama", **TINY, rope_theta=5000.0,
                                           rope_scaling=LLAMA3 | dict(rope_type="llama3"),
                                           rope_parameters=dict(rope_type="default", rope_theta=777.0)),
    "llama, rope_parameters before rope_theta": dict(model_type="llama", **TINY, rope_theta=5000.0,
                                                     rope_parameters=dict(rope_type="default", rope_theta=777.0)),
    "llama, rope_parameters without theta": dict(model_type="llama", **TINY, rope_theta=5000.0,
                                                 rope_parameters=dict(rope_type="default")),
    "llama, the old name of rope_type": dict(model_type="llama", **TINY, rope_scaling=LLAMA3 | dict(type="llama3")),
    "llama3, no original context": dict(
        model_type="llama", **TINY, max_position_embeddings=64,
        rope_scaling=dict(rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0)),
    "llama3, original context beside": dict(
        model_type="llama", **TINY, max_position_embeddings=64, original_max_position_embeddings=16,
        rope_scaling=dict(rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
                          original_max_position_embeddings=32)),
    "llama, dtype before torch_dtype": dict(model_type="llama", **TINY, torch_dtype="float16", dtype="bfloat16"),
}


def window(config, model):
    if config.model_type == "llama":
        return 0
    seen = {getattr(layer.self_attn, "sliding_window", None) if config.model_type != "mistral" else config.sliding_window
            for layer in model.model.layers}
    (one,) = seen
    return one or 0


def reading(config):
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "config.json").write_text(json.dumps(config))
        read = AutoConfig.from_pretrained(folder)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(read)
    rotary = type(model.model.rotary_emb)(read)
    eos = read.eos_token_id
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "layer": {name: list(p.shape) for name, p in model.model.layers[0].named_parameters()},
        "tied": model.lm_head.weight is model.model.embed_tokens.weight,
        "frequencies": [float(f"{x:.7g}") for x in rotary.inv_freq.double().tolist()[::3]],
        "eps": model.model.norm.variance_epsilon, "context": read.max_position_embeddings, "window": window(read, model),
        "bos": read.bos_token_id, "eos": eos if isinstance(eos, list) else [] if eos is None else [eos],
        "pad": read.pad_token_id, "dtype": str(read.dtype).removeprefix("torch.") if read.dtype else "float32",
    }


if __name__ == "__main__":
    made = f"tests/golden/make_configs.py, torch {torch.__version__}, transformers {transformers.__version__}"
    lines = [json.dumps({"name": name, "config": config, "is": reading(config)}) for name, config in CONFIGS.items()]
    OUT.write_text('{"made_by": "' + made + '", "cases": [\n' + ",\n".join(lines) + "\n]}\n")
