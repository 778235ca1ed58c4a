# The work of bench_cuda in torch, eager and compiled, on the same shapes: reads bench_cuda's lines and prints a row of
# docs/benchmarks.md for each. Needs torch with CUDA and triton.
import argparse
import re
import sys
import time

import torch
import torch.nn.functional as F

parser = argparse.ArgumentParser()
parser.add_argument("ours", help="what bench_cuda printed")
parser.add_argument("--device", default="cuda", help="cpu tries this script out, on small shapes")
arguments = parser.parse_args()
DEVICE, TRIAL = arguments.device, arguments.device == "cpu"
ROWS, VOCAB, TOKENS, WIDTH, WEIGHTS = (8, 512, 16, 64, 1 << 12) if TRIAL else (4096, 49152, 16384, 2048, 64 << 20)


def best_ms(work):
    best = float("inf")
    for i in range(3 if TRIAL else 23):  # the first ones compile and warm up
        if TRIAL:
            begin = time.perf_counter()
            work()
            took = 1e3 * (time.perf_counter() - begin)
        else:
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            begin.record()
            work()
            end.record()
            end.synchronize()
            took = begin.elapsed_time(end)
        best = min(best, took) if i >= 2 else best
    return best


def normal(*shape, dtype):
    return torch.randn(*shape, device=DEVICE, dtype=dtype)


def logp_of(logits, label):
    return logits.log_softmax(-1).gather(-1, label).squeeze(-1)


def rms_norm(x, residual, weight):
    total = x + residual
    return total, F.rms_norm(total, (WIDTH,), weight, 1e-5)


def swiglu(gate_up):
    gate, up = gate_up.chunk(2, -1)
    return F.silu(gate) * up


def with_gradient(function, inputs, trained):
    def work():
        for x in trained:
            x.grad = None
        function(*inputs).backward(gradient)
    gradient = torch.ones_like(function(*inputs).detach())
    return work


def without_gradient(function, inputs):
    def work():
        with torch.no_grad():
            function(*inputs)
    return work


def works(dtype, form):
    """name -> what is timed; `form` makes a function of its eager one."""
    logits, label = normal(ROWS, VOCAB, dtype=dtype), torch.randint(VOCAB, (ROWS, 1), device=DEVICE)
    yield "token_logprob", without_gradient(form(logp_of), (logits, label))
    trained = logits.clone().requires_grad_()
    yield "token_logprob with gradient", with_gradient(form(logp_of), (trained, label), [trained])
    del logits, trained
    x, residual, weight = normal(TOKENS, WIDTH, dtype=dtype), normal(TOKENS, WIDTH, dtype=dtype), normal(WIDTH, dtype=dtype)
    yield "norm with residual", without_gradient(form(rms_norm), (x, residual, weight))
    yield "swiglu", without_gradient(form(swiglu), (normal(TOKENS, 2 * WIDTH, dtype=dtype),))


def adamw(form):
    weight = torch.nn.Parameter(normal(WEIGHTS, dtype=torch.float32))
    weight.grad = normal(WEIGHTS, dtype=torch.float32)
    optimizer = torch.optim.AdamW([weight], lr=1e-4, fused=form == "fused" or None, foreach=form == "foreach" or None)
    return optimizer.step


ours = {}
for line in open(arguments.ours):
    found = re.match(r"(.+?)\s+(bf16|fp32)\s+([\d.]+) ms\s+([\d.]+) GB/s\s+(\d+) % of the limit", line)
    if found:
        ours[found[1], found[2]] = (float(found[3]), float(found[4]), int(found[5]))
if not ours:
    sys.exit(f"{arguments.ours} holds no line of bench_cuda")

source = normal(WEIGHTS, dtype=torch.float32)
target = torch.empty_like(source)
copy = 8e-6 * WEIGHTS / best_ms(lambda: target.copy_(source))
del source, target
name = "CPU" if TRIAL else torch.cuda.get_device_name()
print(f"torch {torch.__version__} on {name}; its copy: {copy:.1f} GB/s")
print("| kernel | type | prefer, ms | GB/s | % of copy | torch eager, ms | torch.compile, ms | times eager | times compile |")
print("|---|---|---|---|---|---|---|---|---|")


def row(what, kind, eager, compiled):
    if (what, kind) not in ours:
        sys.exit(f"{arguments.ours} has no {what} in {kind}")
    ms, rate, share = ours[what, kind]
    print(f"| {what} | {kind} | {ms:.4f} | {rate:.0f} | {share} | {eager:.4f} | {compiled:.4f} "
          f"| {eager / ms:.2f} | {compiled / ms:.2f} |", flush=True)


for kind, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
    eager = {what: best_ms(work) for what, work in works(dtype, lambda f: f)}
    compiled = {what: best_ms(work) for what, work in works(dtype, torch.compile)}
    for what in eager:
        row(what, kind, eager[what], compiled[what])
if not TRIAL:  # its two forms of its own: foreach, and fused
    row("adamw", "fp32", best_ms(adamw("foreach")), best_ms(adamw("fused")))
