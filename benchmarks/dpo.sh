#!/usr/bin/env bash
# The same DPO work in prefer and in TRL, one after the other: pairs a second, peak memory, time to the end of the first step,
# and the losses side by side.
#   benchmarks/dpo.sh MODEL HH_FILE.jsonl.gz [DTYPE] [STEPS]     PREFER_PEER_PYTHON has trl, torch, transformers and datasets
# (pip install them), python3 unless it is set; PREFER_BUILD is the build folder, build/dev unless set.
set -euo pipefail
cd "$(dirname "$0")/.."
model=${1:?a model is wanted: a Hugging Face folder} source=${2:?pairs are wanted: an HH-RLHF file, .jsonl.gz}
dtype=${3:-float32} steps=${4:-20} batch=4
python=${PREFER_PEER_PYTHON:-python3}
"$python" -c 'import torch, transformers, trl, datasets' ||
  { echo "dpo.sh: $python lacks one of these; pip install torch transformers trl datasets" >&2; exit 1; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$python" benchmarks/peers/prepare.py "$source" "$model" "$scratch/pairs.jsonl" $((steps * batch))

begin=$(date +%s.%N)
"${PREFER_BUILD:-build/dev}/bin/dpo" "model=$model" "train=$scratch/pairs.jsonl" "output=$scratch/ours" "dtype=$dtype" \
  "steps=$steps" "batch_size=$batch" shuffle=false max_length=512 optimizer.learning_rate=5e-7 \
  schedule.lr_scheduler_type=constant 2>"$scratch/ours.log" || { cat "$scratch/ours.log" >&2; exit 1; }
"$python" benchmarks/peers/dpo.py "$model" "$scratch/pairs.jsonl" "$scratch/theirs" --dtype "$dtype" --steps "$steps" \
  --batch "$batch" >"$scratch/theirs.log" 2>"$scratch/theirs.err" || { tail -5 "$scratch/theirs.err" >&2; exit 1; }
"$python" - "$scratch" "$begin" "$batch" <<'PYTHON'
import json, re, sys
scratch, begin, batch = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
theirs = json.loads(open(f"{scratch}/theirs.log").read().splitlines()[-1])
metrics = [json.loads(line) for line in open(f"{scratch}/ours/metrics.jsonl")]
times = [json.loads(line) for line in open(f"{scratch}/ours/times.jsonl")]
rate = batch * (len(times) - 1) / sum(t["seconds"] for t in times[1:])
peak = float(re.search(r"peak memory ([0-9.]+) GB", open(f"{scratch}/ours.log").read()).group(1)) * 1e9
first = times[0]["time"] - begin
gaps = [abs(m["loss"] - loss) for m, loss in zip(metrics, theirs["losses"])]
print("step  prefer      TRL")
for m, loss in zip(metrics, theirs["losses"]):
    print(f"{m['step']:4d}  {m['loss']:.7f}  {loss:.7f}")
print(theirs["versions"])
print(f"pairs/s: {rate:.3f} and {theirs['pairs_per_second']:.3f}, {rate / theirs['pairs_per_second']:.1f} times")
print(f"peak memory: {peak / 1e9:.1f} and {theirs['peak_bytes'] / 1e9:.1f} GB, {peak / theirs['peak_bytes']:.2f} times")
print(f"start to the end of the first step: {first:.1f} and {theirs['first_step_seconds']:.1f} s")
print(f"largest gap of a step's loss: {max(gaps):.2g}")
PYTHON
