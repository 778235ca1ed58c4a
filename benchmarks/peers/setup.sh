#!/usr/bin/env bash
# Installs what prefer is compared with into a Python of its own, and prints the path of that Python.
#   benchmarks/peers/setup.sh [FOLDER]     .deps/peers unless given; 4 GB of wheels from PyPI, most of them CUDA's libraries,
# without which torch's wheel does not load. The torch that scripts/setup.sh fetched is used, not fetched again.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=${1:-.deps/peers}
if ! cmp -s benchmarks/peers/requirements.txt "$folder/installed.txt"; then
  python3 -m venv "$folder" || { echo "peers: python3 cannot make an environment; on Debian, install python3-venv" >&2; exit 1; }
  if [[ -d .deps/python/torch ]]; then
    realpath .deps/python > "$("$folder/bin/python" -c 'import site; print(site.getsitepackages()[0])')/prefer.pth"
  fi
  "$folder/bin/python" -m pip install -q --disable-pip-version-check -r benchmarks/peers/requirements.txt >&2
  cp benchmarks/peers/requirements.txt "$folder/installed.txt"
fi
echo "$folder/bin/python"
