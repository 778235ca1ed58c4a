#!/usr/bin/env bash
# packed.sh BUILD TORCH: packs what a machine with a GPU is given (scripts/gpu.sh pack) and looks at what it loads: all of that is
# packed too, or in LibTorch, glibc or g++'s run time.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
PREFER_BUILD=$1 "$(dirname "$0")/../../scripts/gpu.sh" pack "$folder"
run_time='^(ld-linux-x86-64|lib(c|m|dl|rt|util|pthread|gcc_s|stdc\+\+))\.so'
missing=0
for file in "$folder"/bin/* "$folder"/lib/*; do
  for library in $(readelf -d "$file" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
    if ! [[ $library =~ $run_time || -e $folder/lib/$library || -e $2/lib/$library ]]; then
      echo "${file##*/} loads $library, which is not packed"
      missing=1
    fi
  done
done
exit $missing
