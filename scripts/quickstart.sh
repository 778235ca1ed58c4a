#!/usr/bin/env bash
# The quick start: sets up, builds what it needs and runs DPO and PPO on a real model. Arguments: key=value, as quickstart --help says.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh
cmake --preset release --log-level=NOTICE
cmake --build --preset release --target quickstart dpo ppo generate
# Threads that wait for each other sleep soon: on a machine with other work, spinning takes the core from the one awaited.
export GOMP_SPINCOUNT=${GOMP_SPINCOUNT-100}
exec build/release/bin/quickstart "$@"
