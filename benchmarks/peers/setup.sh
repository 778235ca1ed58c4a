#!/usr/bin/env bash
# Installs what prefer is compared with into a Python of its own, and prints the path of that Python.
#   benchmarks/peers/setup.sh        .deps/peers, for dpo.sh and generate.sh: 4 GB of wheels from PyPI, most of them CUDA's
#                                    libraries, without which torch's wheel does not load
#   benchmarks/peers/setup.sh ppo    .deps/peers-ppo, for ppo.sh: an older TRL, beside what the first one holds
# The torch that scripts/setup.sh fetched is used, not fetched again.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=.deps/peers list=benchmarks/peers/requirements.txt shared=(.deps/python)
if [[ ${1-} == ppo ]]; then
  benchmarks/peers/setup.sh >/dev/null
  folder=.deps/peers-ppo list=benchmarks/peers/requirements-ppo.txt shared+=(.deps/peers/lib/python3*/site-packages)
elif [[ $# -gt 0 ]]; then
  echo "peers: $1 is not known; known is ppo" >&2; exit 1
fi
if ! cmp -s "$list" "$folder/installed.txt"; then
  python3 -m venv "$folder" || { echo "peers: python3 cannot make an environment; on Debian, install python3-venv" >&2; exit 1; }
  if [[ -d .deps/python/torch ]]; then
    realpath "${shared[@]}" > "$("$folder/bin/python" -c 'import site; print(site.getsitepackages()[0])')/prefer.pth"
  fi
  "$folder/bin/python" -m pip install -q --disable-pip-version-check -r "$list" >&2
  cp "$list" "$folder/installed.txt"
fi
echo "$folder/bin/python"
