# Runs PPO in prefer and in TRL on the same folders, one after the other, and prints what benchmarks/ppo.sh says.
import argparse
import json
import os
import re
import shutil
import statistics
import sys

from sides import lines, row, run

parser = argparse.ArgumentParser()
parser.add_argument("program", help="prefer's ppo")
parser.add_argument("scratch", help="folder of prepare_ppo.py")
parser.add_argument("--iterations", type=int, default=4)
parser.add_argument("--new-tokens", type=int, default=48)
parser.add_argument("--threads", type=int, default=os.cpu_count())
parser.add_argument("--dtype", default="bfloat16")
arguments = parser.parse_args()
PROMPTS = lines(f"{arguments.scratch}/prompts.jsonl")
REWARD = f"{arguments.scratch}/reward"


def prefer(value):
    output, log = f"{arguments.scratch}/prefer", f"{arguments.scratch}/prefer.log"
    shutil.rmtree(output, ignore_errors=True)
    _, peak = run(
        [arguments.program, f"model={arguments.scratch}/policy", f"train={arguments.scratch}/prompts.jsonl", f"output={output}",
         f"reward_model={REWARD}", f"value={value}", f"dtype={arguments.dtype}", f"iterations={arguments.iterations}",
         f"threads={arguments.threads}", f"batch_size={len(PROMPTS)}", "shuffle=false", f"response_length={arguments.new_tokens}",
         "temperature=1", "num_ppo_epochs=1", "num_mini_batches=1", "kl_coef=0.05", "optimizer.learning_rate=1e-6",
         "schedule.lr_scheduler_type=constant", "checkpoint.keep=1"], log)
    steps, times = lines(f"{output}/metrics.jsonl"), lines(f"{output}/times.jsonl")
    estimate = re.search(r"memory: about ([0-9.]+) GB", open(log).read())
    short = [step["objective/length"] for step in steps if step["objective/length"] != arguments.new_tokens]
    if short:
        sys.exit(f"prefer's answers had {short[0]} tokens, and {arguments.new_tokens} were asked for")
    return {"peak": peak, "estimate": float(estimate.group(1)) if estimate else None,
            "iteration": [t["seconds"] for t in times], "rollout": [t["rollout_seconds"] for t in times],
            "scores": steps[0]["objective/scores"], "kl": steps[0]["objective/kl"]}


def trl():
    log = f"{arguments.scratch}/trl.log"
    _, peak = run(
        [sys.executable, f"{os.path.dirname(__file__)}/ppo.py", arguments.scratch, f"{arguments.scratch}/trl", "--dtype",
         arguments.dtype, "--iterations", str(arguments.iterations), "--new-tokens", str(arguments.new_tokens), "--threads",
         str(arguments.threads)], log)
    seen = json.loads(open(log).read().splitlines()[-1])
    between = lambda a, b: [iteration[b] - iteration[a] for iteration in seen["iterations"]]
    return {"peak": peak, "versions": seen["versions"], "iteration": between("begin", "end"), "rollout": between("begin", "learns"),
            "generation": between("begin", "answered"), "scores": seen["scores"][0], "kl": seen["kl"][0]}


def settled(seconds):
    """The mean of all iterations but the first."""
    return statistics.mean(seconds[1:] if len(seconds) > 1 else seconds)


def update(side):
    return [whole - rollout for whole, rollout in zip(side["iteration"], side["rollout"])]


def compare(ours, theirs):
    print(f"{'':34s} {'prefer':>9s} {'TRL':>9s} {'ratio':>8s}")
    row("seconds an iteration", settled(ours["iteration"]), settled(theirs["iteration"]), inverse=True)
    row("  of them rollouts", settled(ours["rollout"]), settled(theirs["rollout"]), inverse=True)
    row("  of them the update", settled(update(ours)), settled(update(theirs)), inverse=True)
    row("rollouts' share", settled(ours["rollout"]) / settled(ours["iteration"]),
        settled(theirs["rollout"]) / settled(theirs["iteration"]), "{:.2f}")
    row("peak memory, GB", ours["peak"] / 1e9, theirs["peak"] / 1e9)
    if ours["estimate"]:
        print(f"prefer's estimate of its peak before the first step: {ours['estimate']:.1f} GB")


# Before and after TRL, as a machine's speed drifts.
before, theirs, own, shared = prefer(REWARD), trl(), prefer(REWARD), prefer("shared")
for part in ("iteration", "rollout"):
    own[part] = [statistics.mean(pair) for pair in zip(before[part], own[part])]
print(f"PPO, {arguments.dtype}: {len(PROMPTS)} prompts, {arguments.new_tokens} new tokens each, 1 epoch, 1 minibatch, "
      f"{arguments.iterations} iterations, the first left out, {arguments.threads} threads, beside {theirs['versions']}")
print(f"first iteration, prefer and TRL: mean score {own['scores']:.4f} and {theirs['scores']:.4f}, "
      f"KL {own['kl']:.4f} and {theirs['kl']:.4f}")
compare(own, theirs)
print(f"TRL's generation alone: {settled(theirs['generation']):.3g} s")
print("\nthe value model a head on the policy in prefer (value=shared), TRL as above")
compare(shared, theirs)
