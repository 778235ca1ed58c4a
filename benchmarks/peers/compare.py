# Runs prefer and TRL on the same model and pairs, one after the other, and prints what benchmarks/dpo.sh says.
import argparse
import hashlib
import json
import os
import re
import shutil
import statistics
import struct
import sys

from sides import lines, row, run

parser = argparse.ArgumentParser()
parser.add_argument("program", help="prefer's dpo")
parser.add_argument("model", help="Hugging Face folder")
parser.add_argument("scratch", help="folder with pairs.jsonl")
parser.add_argument("--steps", type=int, default=20)
parser.add_argument("--threads", type=int, default=os.cpu_count())
parser.add_argument("--dtypes", default="float32,bfloat16")
arguments = parser.parse_args()
BATCH = 4
PAIRS = f"{arguments.scratch}/pairs.jsonl"
missed = []


def bar(what, dtype, value, met):
    print(f"{what} in {dtype}: {value:.3g}, {'met' if met else 'MISSED'}", flush=True)
    if not met:
        missed.append(f"{what} in {dtype}: {value:.3g}")


def prefer(dtype, steps, *more, under=()):
    output = f"{arguments.scratch}/prefer"
    shutil.rmtree(output, ignore_errors=True)
    begin, peak = run(
        [*under, arguments.program, f"model={arguments.model}", f"train={PAIRS}", f"output={output}", f"dtype={dtype}",
         f"steps={steps}", f"threads={arguments.threads}", f"batch_size={BATCH}", "shuffle=false", "max_length=512",
         "optimizer.learning_rate=5e-7", "schedule.lr_scheduler_type=constant", *more], f"{arguments.scratch}/prefer.log")
    times = lines(f"{output}/times.jsonl")
    ends = [step["time"] for step in times]
    manifest = json.load(open(f"{output}/checkpoint-{steps}/manifest.json"))
    estimate = re.search(r"memory: about ([0-9.]+) GB", open(f"{arguments.scratch}/prefer.log").read())
    return {
        "losses": [step["loss"] for step in lines(f"{output}/metrics.jsonl")], "peak": peak,
        "estimate": float(estimate.group(1)) * 1e9 if estimate else None,
        "pairs": manifest["inputs"]["train"], "first_end": ends[0] - begin,
        "first_forward": ends[0] - times[0]["seconds"] + times[0]["batch_seconds"] - begin,
        "seconds": ends[-1] - ends[0], "times": times}


def trl(dtype, steps):
    log = f"{arguments.scratch}/trl.log"
    begin, peak = run(
        [sys.executable, f"{os.path.dirname(__file__)}/dpo.py", arguments.model, PAIRS, f"{arguments.scratch}/trl", "--dtype", dtype,
         "--steps", str(steps), "--batch", str(BATCH), "--threads", str(arguments.threads)], log)
    seen = json.loads(open(log).read().splitlines()[-1])
    ends = seen["step_ends"]
    return seen | {"peak": peak, "first_forward": seen["first_forward"] - begin, "first_end": ends[0] - begin,
                   "seconds": ends[-1] - ends[0]}


def fingerprint(pairs):
    """What prefer's checkpoints say of the pairs they were trained on: SHA-256 of prompt and completion of each side, behind
    their lengths, and of two scores and a margin, which are not given."""
    found = hashlib.sha256()
    for pair in pairs:
        for side in pair:
            for ids in side:
                found.update(struct.pack(f"<Q{len(ids)}I", len(ids), *ids))
        found.update(b"\xff" * 24)
    return found.hexdigest()


def compare(dtype):
    steps = arguments.steps
    # Before and after TRL, as a machine's speed drifts. Starts are of runs of one step that follow one of the same side, with what
    # is read in memory: each takes gigabytes, and the other's files may go for them.
    first, theirs = prefer(dtype, steps), trl(dtype, steps)
    if first["pairs"] != fingerprint(theirs["pairs"]):
        sys.exit(f"prefer's token ids of {PAIRS} are not TRL's: SHA-256 {first['pairs']} and {fingerprint(theirs['pairs'])}")
    their_start, ours = trl(dtype, 1), prefer(dtype, steps)
    our_start = sorted([prefer(dtype, 1) for _ in range(3)], key=lambda run: run["first_forward"])[1]
    ours["seconds"] = (first["seconds"] + ours["seconds"]) / 2
    cached = prefer(dtype, steps, "reference_logprobs=cached")
    print(f"{dtype}, {BATCH} pairs a step, {steps} steps, {arguments.threads} threads, beside {theirs['versions']}")
    print(f"tokens: {len(theirs['pairs'])} pairs, all ids equal: SHA-256 {first['pairs']}")
    print("step       prefer          TRL        gap")
    gaps = [abs(a - b) for a, b in zip(ours["losses"], theirs["losses"])]
    for i, gap in enumerate(gaps):
        print(f"{i + 1:4d}  {ours['losses'][i]:.9f}  {theirs['losses'][i]:.9f}  {gap:9.2g}")
    print(f"largest gap of a step's loss: {max(gaps):.2g}\n")
    timed = theirs["pairs"][BATCH:BATCH * steps]
    tokens = sum(len(ids) for pair in timed for side in pair for ids in side)
    print(f"{'':34s} {'prefer':>9s} {'TRL':>9s} {'ratio':>8s}")
    row("pairs a second, after the first step", len(timed) / ours["seconds"], len(timed) / theirs["seconds"])
    row("real tokens a second", tokens / ours["seconds"], tokens / theirs["seconds"])
    row("peak memory, GB", ours["peak"] / 1e9, theirs["peak"] / 1e9)
    row("start to first forward pass, s", our_start["first_forward"], their_start["first_forward"])
    row("start to end of first step, s", our_start["first_end"], their_start["first_end"])
    print(f"prefer's estimate of its peak before the first step: {ours['estimate'] / 1e9:.1f} GB, "
          f"{ours['estimate'] / ours['peak']:.2f} of what it was")
    print(f"prefer with a cached reference: {len(timed) / cached['seconds']:.3g} pairs a second, peak {cached['peak'] / 1e9:.3g} GB; "
          f"the cache of all {len(lines(PAIRS))} pairs took {cached['first_forward'] - our_start['first_forward']:.1f} s\n", flush=True)
    bar("pairs a second of TRL's, 4 wanted", dtype, theirs["seconds"] / ours["seconds"], theirs["seconds"] >= 4 * ours["seconds"])
    bar("memory of TRL's, 0.5 at most", dtype, ours["peak"] / theirs["peak"], ours["peak"] <= 0.5 * theirs["peak"])
    bar("seconds to the first forward pass, 1 at most", dtype, our_start["first_forward"], our_start["first_forward"] <= 1)
    if dtype == "float32":  # one computation in two programs
        bar("largest gap of a loss, 1e-4 at most", dtype, max(gaps), all(gap <= 1e-4 for gap in gaps))
    bar(f"steps with a loss, {steps} wanted", dtype, len(gaps), len(gaps) == steps)


def steady(dtype, steps=40, settled=20):
    calls = f"{arguments.scratch}/calls"
    strace = shutil.which("strace")
    under = [strace, "-f", "--seccomp-bpf", "-qq", "-ttt", "-e", "trace=mmap", "-o", calls] if strace else []
    times = prefer(dtype, steps, under=under)["times"]
    faults = [step["page_faults"] for step in times[settled:]]
    bar("minor page faults a settled step, 100 at most", dtype, statistics.median(faults), statistics.median(faults) <= 100)
    found = "mmaps were not counted: strace is not here"
    if not strace:
        missed.append(f"{found}, in {dtype}")
    if strace:
        stamps = [float(line.split()[1]) for line in open(calls) if "mmap(" in line]
        ends = [step["time"] for step in times]
        mmaps = [sum(begin < stamp < end for stamp in stamps) for begin, end in zip(ends[settled - 1:], ends[settled:])]
        bar("mmaps a settled step, 0 wanted", dtype, statistics.median(mmaps), statistics.median(mmaps) == 0)
        found = f"median {statistics.median(mmaps):.0f} mmaps a step ({sum(mmaps)} in all of them)"
    print(f"{dtype}, steps {settled + 1} to {steps}: median {statistics.median(faults):.0f} minor page faults a step "
          f"(most {max(faults)}); {found}", flush=True)


dtypes = arguments.dtypes.split(",")
for dtype in dtypes:
    compare(dtype)
for dtype in dtypes:
    steady(dtype)
sys.exit(f"missed: {'; '.join(missed)}" if missed else 0)
