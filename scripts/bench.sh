#!/usr/bin/env bash
# Runs the benchmarks of tests/bench in their full form, one after the other, on a quiet machine.
# Usage: scripts/bench.sh [NAME...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null

scripts/setup.sh --no-build
mapfile -t targets < <(bazel query --noshow_progress 'kind("cc_binary", //tests/bench/...)' 2>/dev/null)
if (($# > 0)); then
  targets=("${@/#///tests/bench:}")
fi
((${#targets[@]} > 0)) || { echo "bench.sh: there is no benchmark in tests/bench" >&2; exit 1; }
bazel build "${targets[@]}"
for target in "${targets[@]}"; do
  path=${target#//}
  echo "== $target"
  "bazel-bin/${path/:/\/}"
done
