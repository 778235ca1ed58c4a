#!/usr/bin/env bash
# The same DPO work in prefer and in TRL, one after the other: token ids held to be equal, losses side by side, pairs and tokens a
# second, peak memory, time to the first forward pass; then prefer alone with a cached reference, and what it asks of the kernel once
# it has settled.
#   benchmarks/dpo.sh [model=FOLDER] [pairs=HH_FILE.jsonl.gz] [steps=20] [dtypes=float32,bfloat16] [threads=ALL_CORES]
# The model is the quick start's unless given, the pairs HH-RLHF's helpful-base test set. PREFER_BUILD is the build folder,
# build/release unless set; PREFER_PEER_PYTHON is a Python with TRL, and benchmarks/peers/setup.sh makes one where it is not set.
# Twenty steps of both number types take TRL half an hour on two cores. Ends with 1, and names it, where a bar is missed: 4 times
# TRL's pairs a second, half its memory, 1 s to the first forward pass, losses within 1e-4 in float32, at most 100 page faults and no
# mmap a settled step.
set -euo pipefail
cd "$(dirname "$0")/.."
model=out/peers/SmolLM2-135M-Instruct pairs=../shared/data/preference/hh-rlhf/helpful-base.test.jsonl.gz
steps=20 dtypes=float32,bfloat16 threads=$(nproc)
name=dpo keys="model pairs steps dtypes threads"
source benchmarks/peers/begin.sh
[[ $steps -ge 2 ]] || { echo "dpo.sh: steps=$steps: 2 or more are wanted, as the first is not timed" >&2; exit 1; }
[[ -e $pairs ]] || { echo "dpo.sh: there is no $pairs; give pairs=FILE, HH-RLHF's helpful-base/test.jsonl.gz or another of its files" >&2; exit 1; }
python=${PREFER_PEER_PYTHON:-$(benchmarks/peers/setup.sh)}
unpack_model "$python"
"$python" benchmarks/peers/prepare.py "$pairs" "$model" "$scratch/pairs.jsonl" $(((steps > 40 ? steps : 40) * 4))
"$python" benchmarks/peers/compare.py "$program" "$model" "$scratch" --steps "$steps" --threads "$threads" --dtypes "$dtypes"
