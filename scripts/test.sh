#!/usr/bin/env bash
# Sets up, builds everything, compiles every CUDA kernel, and runs every test that needs no GPU; then what does not see
# LibTorch once more, under the address and undefined-behaviour sanitizers.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh --nvcc
failed=0
# CUDA stands beside the CPU's programs in one build: every kernel is compiled, dpo_cuda, test_cuda and test_cuda_model
# are linked.
cmake --preset dev -DPREFER_CUDA=BESIDE --log-level=NOTICE
# What does not compile fails at the end, so that the other tests are still run.
cmake --build --preset dev -- -k 0 || { echo "test.sh: something above did not compile" >&2; failed=1; }
export GOMP_SPINCOUNT=${GOMP_SPINCOUNT-100}  # as in quickstart.sh
jobs=$(nproc)
ctest --preset dev -j "$jobs" || failed=1
# A program of many tests counts as passed where some were skipped: how many were not run here, and why.
awk '/: Skipped$/ {getline why} /^\[  SKIPPED \] .* ms\)$/ {tests[why]++}
  END {for (why in tests) printf "test.sh: %d tests skipped: %s\n", tests[why], why}' build/dev/Testing/Temporary/LastTest.log || true
cmake --preset asan --log-level=NOTICE
cmake --build --preset asan -- -k 0 || { echo "test.sh: something above did not compile with sanitizers" >&2; failed=1; }
ctest --preset asan -j "$jobs" || failed=1
echo "test.sh: $((SECONDS / 60)) min $((SECONDS % 60)) s"
exit $failed
