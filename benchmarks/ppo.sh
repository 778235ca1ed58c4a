#!/usr/bin/env bash
# The same PPO work in prefer and in TRL 0.22.2, one after the other: seconds an iteration, rollouts and update apart, peak
# memory; then prefer with the value model as a head on the policy.
#   benchmarks/ppo.sh [model=FOLDER] [iterations=4] [prompts=32] [new_tokens=48] [dtype=bfloat16] [threads=ALL_CORES]
# Policy, reference, reward model and value model are of the model's size, the last two with one random head in one folder. No
# token ends an answer on either side, so that all are equally long; prompts are the first of the quick start's openings, all
# of them in every iteration; one epoch, one minibatch. The model is the quick start's unless given. PREFER_BUILD is the build
# folder, build/release unless set. benchmarks/peers/setup.sh makes the Pythons.
set -euo pipefail
cd "$(dirname "$0")/.."
model=out/peers/SmolLM2-135M-Instruct iterations=4 prompts=32 new_tokens=48 dtype=bfloat16 threads=$(nproc)
name=ppo keys="model iterations prompts new_tokens dtype threads"
source benchmarks/peers/begin.sh
python=$(benchmarks/peers/setup.sh ppo)
unpack_model "$(benchmarks/peers/setup.sh)"
"$python" benchmarks/peers/prepare_ppo.py "$model" configs/quickstart/openings.txt "$prompts" "$scratch"
"$python" benchmarks/peers/compare_ppo.py "$program" "$scratch" --iterations "$iterations" --new-tokens "$new_tokens" \
  --threads "$threads" --dtype "$dtype"
