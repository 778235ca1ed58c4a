"""Writes kernels.hpp: numbers of torch and transformers that the kernels' tests compare with.

Run: python tests/golden/make_kernels.py, with torch 2.11.0 and transformers 5 (the header names the versions).
"""
import pathlib

import torch
import transformers
from transformers.generation.logits_process import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.llama.modeling_llama import LlamaRMSNorm

torch.manual_seed(0)
lines = []


def emit(name, values, comment):
    kind = "std::int64_t" if all(isinstance(v, int) for v in values) else "double"
    text = ", ".join(repr(v) for v in values)
    lines.append(f"// {comment}\ninline constexpr {kind} {name}[] = {{{text}}};")


def adamw():
    p = torch.nn.Parameter(torch.randn(5, dtype=torch.float64))
    emit("kAdamwStart", p.tolist(), "float64 parameter before the first step")
    optimizer = torch.optim.AdamW([p], lr=0.01, betas=(0.9, 0.95), eps=1e-6, weight_decay=0.1)
    grads, params = [], []
    for _ in range(5):
        p.grad = torch.randn(5, dtype=torch.float64)
        grads += p.grad.tolist()
        optimizer.step()
        params += p.tolist()
    emit("kAdamwGrads", grads, "gradients of five steps")
    emit("kAdamwParams", params, "torch.optim.AdamW(lr=0.01, betas=(0.9, 0.95), eps=1e-6, weight_decay=0.1) after each")


def norm():
    x = (3 * torch.randn(2, 24)).bfloat16()
    layer = LlamaRMSNorm(24, eps=1e-5).bfloat16()
    layer.weight.data = torch.randn(24).bfloat16()
    emit("kNormX", x.flatten().tolist(), "bf16 [2, 24]")
    emit("kNormWeight", layer.weight.tolist(), "bf16 [24]")
    emit("kNormY", layer(x).flatten().tolist(), "LlamaRMSNorm(eps=1e-5)")


def swiglu():
    gate, up = (2 * torch.randn(2, 24)).bfloat16()
    emit("kGate", gate.tolist(), "bf16 [24]")
    emit("kUp", up.tolist(), "bf16 [24]")
    emit("kSwiglu", (torch.nn.functional.silu(gate) * up).tolist(), "silu(gate) * up in bf16, as LlamaMLP has it")


def rope():
    config = transformers.LlamaConfig(
        hidden_size=2048, num_attention_heads=32, head_dim=64, max_position_embeddings=131072,
        rope_parameters={"rope_theta": 500000.0, "rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0,
                         "high_freq_factor": 4.0, "original_max_position_embeddings": 8192})
    frequencies, _ = ROPE_INIT_FUNCTIONS["llama3"](config, torch.device("cpu"))
    emit("kLlama3Frequencies", frequencies.double().tolist(), "Llama-3.2-1B: theta 500000, llama3 scaling by 32, dim 64, in float32")


def token_logprob():
    x = (4 * torch.randn(2, 9, dtype=torch.float64)).requires_grad_()
    logp = torch.log_softmax(x / 0.7, -1)
    entropy = torch.distributions.Categorical(logits=logp).entropy()
    (2 * logp[0, 3] - logp[1, 0] + 0.5 * entropy[0] - 3 * entropy[1]).backward()
    emit("kLogits", x.detach().flatten().tolist(), "float64 [2, 9]")
    emit("kLogp", [logp[0, 3].item(), logp[1, 0].item()], "log_softmax(x / 0.7) at 3 and 0")
    emit("kEntropy", entropy.tolist(), "their rows' entropies")
    emit("kLogitsGrad", x.grad.flatten().tolist(), "of 2 logp[0] - logp[1] + 0.5 entropy[0] - 3 entropy[1]")


def sample():
    x = torch.randn(1, 40, dtype=torch.float64)
    emit("kSampleLogits", x.flatten().tolist(), "float64 [40]")
    scores = x
    for warper in (TemperatureLogitsWarper(0.8), TopKLogitsWarper(15), TopPLogitsWarper(0.7)):
        scores = warper(None, scores)
    emit("kSampleProbabilities", torch.softmax(scores, -1).flatten().tolist(), "after temperature 0.8, top_k 15, top_p 0.7")


for make in (adamw, norm, swiglu, rope, token_logprob, sample):
    make()
header = (f"// Golden numbers of the kernels, from torch {torch.__version__} and transformers {transformers.__version__}; made by "
          "make_kernels.py.\n#pragma once\n\n#include <cstdint>\n\nnamespace prefer::golden {\n\n")
path = pathlib.Path(__file__).with_name("kernels.hpp")
path.write_text(header + "\n\n".join(lines) + "\n\n}  // namespace prefer::golden\n")
