#!/usr/bin/env bash
# Sets up, builds everything, compiles every CUDA kernel, and runs every test that needs no GPU.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh --nvcc
failed=0
# What does not compile fails at the end, so that the other tests are still run.
cmake --preset dev --log-level=NOTICE
cmake --build --preset dev -- -k 0 || failed=1
cmake --preset cuda --log-level=NOTICE
cmake --build --preset cuda --target prefer_cuda -- -k 0 || failed=1
if [[ $failed == 1 ]]; then echo "test.sh: something above did not compile" >&2; fi
ctest --preset dev || failed=1
exit $failed
