#!/usr/bin/env bash
# Installs what prefer needs and this machine lacks: Debian packages, LibTorch 2.11, the quick start's model and lexicon.
#
#   scripts/setup.sh          for the CPU; with an NVIDIA GPU present, as --cuda
#   scripts/setup.sh --nvcc   and the CUDA compiler, where there is no toolkit 13 (compiles the kernels; needs no GPU)
#   scripts/setup.sh --cuda   and CUDA's libraries: all that a machine with a driver needs to build and run with device=cuda;
#                             and compute-sanitizer, where there is none
#   scripts/setup.sh --sanitizer   for the CPU, and compute-sanitizer for scripts/gpu.sh pack
#
# Wheels are pinned by version and hash (scripts/wheels) and land in .deps, whole or not at all. A LibTorch 2.11 named
# by PREFER_TORCH_DIR or CMAKE_PREFIX_PATH, or one that python3 imports, is used instead of fetching one.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "setup: $*" >&2; }
stop() { say "$*"; exit 1; }

# --- what is asked -----------------------------------------------------------------------------------------------
want_nvcc=no want_cuda=no want_sanitizer=no
lacks_sanitizer() { if command -v compute-sanitizer >/dev/null || [[ -e /usr/local/cuda/bin/compute-sanitizer ]]; then echo no; else echo yes; fi; }
case "${1-}" in
  "") if [[ -e /dev/nvidia0 ]] || nvidia-smi -L >/dev/null 2>&1; then
        say "an NVIDIA GPU is here: setting up for CUDA too"
        want_nvcc=yes want_cuda=yes want_sanitizer=$(lacks_sanitizer)
      fi ;;
  --nvcc) want_nvcc=yes ;;
  --cuda) want_nvcc=yes want_cuda=yes want_sanitizer=$(lacks_sanitizer) ;;
  --sanitizer) want_sanitizer=yes ;;
  *) stop "unknown option $1; known are --nvcc, --cuda and --sanitizer" ;;
esac
[[ $(uname -sm) == "Linux x86_64" ]] || stop "prefer runs on x86-64 Linux, and this is $(uname -sm)"

# --- what is there already ---------------------------------------------------------------------------------------
is_torch() { grep -qs "TORCH_VERSION_MINOR 11" "$1/include/torch/headeronly/version.h" && [[ -e $1/lib/libtorch_cpu.so ]]; }

# Prints the folder of a LibTorch 2.11 outside .deps, if there is one.
other_torch() {
  local prefix
  if [[ -n ${PREFER_TORCH_DIR-} ]]; then
    is_torch "$PREFER_TORCH_DIR" || stop "PREFER_TORCH_DIR=$PREFER_TORCH_DIR holds no LibTorch 2.11"
    echo "$PREFER_TORCH_DIR"
    return
  fi
  while IFS= read -rd : prefix; do
    for prefix in "$prefix" "$prefix/../.."; do
      if is_torch "$prefix"; then echo "$prefix"; return; fi
    done
  done <<< "${CMAKE_PREFIX_PATH-}:"
  prefix=$(python3 -c "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '')" 2>/dev/null || true)
  if [[ -n $prefix ]] && is_torch "$prefix"; then echo "$prefix"; fi
}

has_nvcc() {
  local nvcc release
  nvcc=$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)
  release=$("$nvcc" --version 2>/dev/null | sed -n 's/.*release \([0-9]*\).*/\1/p')
  [[ -n $release && $release -ge 13 ]]
}

# The wheels that FOLDER must hold: the lines of LISTS without their comments.
lines_of() { sed -e '/^#/d' -e 's/ *#.*//' "$@"; }
# Whether FOLDER holds the wheels of LISTS: its stamp is the lines that it was made of.
holds() {
  local folder=$1; shift
  [[ -f $folder/.wheels ]] && ! lines_of "$@" | grep -vxFf "$folder/.wheels" >/dev/null
}

torch_at=$(other_torch)
python_lists=(scripts/wheels/data.txt) cuda_lists=()
if [[ -z $torch_at ]]; then python_lists=(scripts/wheels/torch.txt scripts/wheels/data.txt); fi
# A LibTorch from elsewhere brings its CUDA libraries with it.
if [[ -z $torch_at && $want_cuda == yes ]]; then python_lists+=(scripts/wheels/cuda.txt); fi
if [[ $want_nvcc == yes ]] && ! has_nvcc; then cuda_lists+=(scripts/wheels/nvcc.txt); fi
sanitizer_lists=()
if [[ $want_sanitizer == yes ]]; then sanitizer_lists=(scripts/wheels/sanitizer.txt); fi
need_wheels=no
holds .deps/python "${python_lists[@]}" || need_wheels=yes
if [[ ${#cuda_lists[@]} -gt 0 ]] && ! holds .deps/cuda "${cuda_lists[@]}"; then need_wheels=yes; fi
if [[ ${#sanitizer_lists[@]} -gt 0 ]] && ! holds .deps/sanitizer "${sanitizer_lists[@]}"; then need_wheels=yes; fi

# --- Debian packages, of the release at hand (written for Debian 12) -----------------------------------------------
pip_of() {
  local python
  for python in python3 /usr/bin/python3; do
    if "$python" -m pip --version >/dev/null 2>&1; then echo "$python"; return; fi
  done
}

packages=(g++ cmake ninja-build ccache pkg-config python3 ca-certificates libspdlog-dev nlohmann-json3-dev
          libsentencepiece-dev libpcre2-dev libgtest-dev zlib1g-dev libgloo-dev)
if [[ $need_wheels == yes && -z $(pip_of) ]]; then packages+=(python3-pip); fi

install_packages() {
  command -v dpkg-query >/dev/null || { say "no dpkg here: what Debian 12 calls ${packages[*]} must be installed already"; return; }
  local missing
  missing=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null | sed -n 's/^installed //p' |
            grep -vxFf - <(printf '%s\n' "${packages[@]}") | tr '\n' ' ' || true)
  missing=${missing% }
  if [[ -z $missing ]]; then return; fi
  local as_root=()
  if [[ $EUID -ne 0 ]]; then
    if ! command -v sudo >/dev/null || { [[ ! -t 0 ]] && ! sudo -n true 2>/dev/null; }; then
      say "Debian packages are missing, and this is not root; run this line, then this script again:"
      echo "apt-get update && apt-get install --no-install-recommends -y $missing" >&2
      exit 1
    fi
    as_root=(sudo)
  fi
  say "installing Debian packages: $missing"
  # shellcheck disable=SC2086  # a list of words
  { "${as_root[@]}" apt-get update -qq &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >/dev/null; } ||
    stop "apt-get could not install: $missing (its words stand above)"
}

# --- wheels --------------------------------------------------------------------------------------------------------
# One choice of Python and platform, whatever this machine's is, so that each wheel has one hash. No code of them runs.
wheel_options=(--no-deps --require-hashes --only-binary=:all: --python-version 3.11 --implementation cp --abi cp311 --abi none
               --platform manylinux2014_x86_64)
for glibc in {17..28}; do wheel_options+=(--platform "manylinux_2_${glibc}_x86_64"); done

pip() { TMPDIR=$PWD/.deps/tmp PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_WARN_SCRIPT_LOCATION=1 "$(pip_of)" -m pip "$@"; }

fetch() {  # LIST...: every wheel of the lists into .deps/download
  local line wheel
  while IFS= read -r line; do
    wheel=${line%% *}
    say "fetching ${wheel/==/ }"
    lines_of <(echo "$line") > .deps/download/wheel.txt
    pip download "${progress[@]}" "${wheel_options[@]}" -d .deps/download -r .deps/download/wheel.txt ||
      stop "${wheel/==/ } could not be fetched (pip's words stand above); nothing was installed; run this again to go on"
  done < <(sed '/^#/d' "$@")
}

install_wheels() {  # FOLDER LIST...: the wheels of the lists, into a folder beside it that then takes its name
  local folder=$1 there=/dev/null; shift
  if holds "$folder" "$@"; then return; fi
  mkdir -p .deps/download .deps/tmp
  rm -rf "$folder.new" "$folder.more" "$folder.old"
  # Where all that is there is wanted, the rest is laid over links to it; otherwise the folder is made anew.
  if [[ -f $folder/.wheels ]] && ! grep -vxFf <(lines_of "$@") "$folder/.wheels" >/dev/null; then
    there=$folder/.wheels
    cp -al "$folder" "$folder.new"
  fi
  sed '/^#/d' "$@" | grep -vFf "$there" > .deps/download/missing.txt
  fetch .deps/download/missing.txt
  lines_of .deps/download/missing.txt > .deps/download/wheels.txt
  pip install -q --no-compile --no-index --find-links .deps/download "${wheel_options[@]}" --target "$folder.more" \
    -r .deps/download/wheels.txt || stop "the wheels could not be unpacked into $folder.more (pip's words stand above)"
  mkdir -p "$folder.new"
  cp -alf "$folder.more/." "$folder.new/"
  if [[ -d $folder.new/nvidia/cu13/lib ]]; then  # the names by which compilers look for them
    ln -sfn lib "$folder.new/nvidia/cu13/lib64"
    ln -sfn libcudart.so.13 "$folder.new/nvidia/cu13/lib/libcudart.so"
  fi
  rm -f "$folder.new/.wheels"  # a link to that of the folder as it is
  lines_of "$@" > "$folder.new/.wheels"
  if [[ -d $folder ]]; then mv "$folder" "$folder.old"; fi
  mv "$folder.new" "$folder"
  rm -rf "$folder.old" "$folder.more" .deps/download .deps/tmp
}

progress=(-q)
if [[ -t 2 ]]; then progress=(--progress-bar on); fi
install_packages
mkdir -p .deps
exec 9> .deps/lock
flock 9
install_wheels .deps/python "${python_lists[@]}"
if [[ ${#cuda_lists[@]} -gt 0 ]]; then install_wheels .deps/cuda "${cuda_lists[@]}"; fi
if [[ ${#sanitizer_lists[@]} -gt 0 ]]; then install_wheels .deps/sanitizer "${sanitizer_lists[@]}"; fi
say "ready, with LibTorch 2.11 in ${torch_at:-.deps/python/torch}"
