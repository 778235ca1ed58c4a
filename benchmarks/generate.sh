#!/usr/bin/env bash
# Times generate and transformers.generate one after the other, and prints by how much prefer is faster.
#   benchmarks/generate.sh MODEL [DTYPE] [BATCHES]      BATCHES such as 32,8,1; PREFER_PEER_PYTHON has torch, transformers and
# accelerate (pip install them), python3 unless it is set; PREFER_BUILD is the build folder, build/dev unless set.
set -euo pipefail
cd "$(dirname "$0")/.."
model=${1:?a model is wanted: a Hugging Face folder, such as out/quickstart/model}
dtype=${2:-bfloat16} batches=${3:-32,8,1}
python=${PREFER_PEER_PYTHON:-python3}
"$python" -c 'import torch, transformers, accelerate' ||
  { echo "generate.sh: $python lacks one of these; pip install torch transformers accelerate" >&2; exit 1; }
ours=$("${PREFER_BUILD:-build/dev}/bin/bench_generate" "model=$model" "dtype=$dtype" "batch=[\"${batches//,/\",\"}\"]")
theirs=$("$python" benchmarks/peers/generate.py "$model" --dtype "$dtype" --batch "$batches")
echo "$ours"
echo "$theirs"
for batch in ${batches//,/ }; do
  rate() { sed -n "s/^batch $batch: \([0-9.]*\) tokens.*/\1/p" <<<"$1"; }
  awk -v a="$(rate "$ours")" -v b="$(rate "$theirs")" -v n="$batch" 'BEGIN {printf "batch %d: %.2f times transformers\n", n, a / b}'
done
