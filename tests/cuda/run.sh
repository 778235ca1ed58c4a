#!/bin/sh
# run.sh PROGRAM [ARGUMENT...]: runs it, or skips (77) in one line where CUDA's libraries are not installed.
missing=$(ldd "$1" | sed -n 's/^[[:space:]]*\(.*\) => not found$/\1/p' | head -n 1)
if [ -n "$missing" ]; then
  echo "$1: $missing is not here (scripts/setup.sh --cuda fetches it): nothing was run"
  exit 77
fi
exec "$@"
