#!/usr/bin/env bash
# Kills a training run [200] times at random instants, a third of them within a save, lets it go on, and compares what it
# ends in with a run that was left alone. Needs the dev build (scripts/test.sh); a minute or two.
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --build --preset dev --target test_programs
PREFER_KILLS=${1:-200} build/dev/bin/test_programs --gtest_filter='Kills.*'
