#!/usr/bin/env bash
# Kills training runs of DPO and of PPO [200] times each at random instants, a third of them within a save, lets them go
# on, and compares what they end in with runs that were left alone. Needs the dev build (scripts/test.sh); minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --build --preset dev --target test_programs
PREFER_KILLS=${1:-200} build/dev/bin/test_programs --gtest_filter='*Kills.*'
