#!/usr/bin/env bash
# Runs every check and every test. The last line is the count: "N passed, N failed[, N skipped]".
# Usage: scripts/test.sh [BAZEL_TEST_ARGUMENT...]
#
#   scripts/test.sh                          lint, then all tests
#   scripts/test.sh --config=asan            all tests under AddressSanitizer and UBSan (also tsan)
#   scripts/test.sh --full [TARGETS]         the long forms of all proofs, which take an hour or more
#   scripts/test.sh //tests/routing/...      these tests only
#
# A configuration or a target asks for tests only, so those skip the lint. As root or anybody else.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null

lint=true
targets=(//...)
arguments=()
given=()
while (($# > 0)); do
  argument=$1
  shift
  if [[ $argument == --config && $# -gt 0 ]]; then
    argument=--config=$1
    shift
  fi
  given+=("$argument")
  case "$argument" in
    --config=*) lint=false ;;
    --full)
      unset 'given[-1]'
      arguments+=(--test_env=PODROUTE_FULL_PROOFS=1 --test_env=PODROUTE_FUZZ_MUTATIONS=100000 --test_timeout=3600)
      ;;
    -//* | [!-]*) lint=false targets=() ;;
  esac
  # GCC 12's sanitizers cope with 28 random bits in addresses; many a kernel has 32.
  if [[ $argument == --config=[at]san && $(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null) != 28 ]] &&
    setarch --addr-no-randomize true 2>/dev/null; then
    arguments+=("--run_under=setarch --addr-no-randomize")
  fi
done

scratch=$(mktemp -d)
cleanup() {
  rm -rf "$scratch"
  # A continuous integration system wants its machine back without our build server on it.
  if [[ ${CI:-} == true ]]; then bazel shutdown || true; fi
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

scripts/setup.sh --no-build

broken=()
if $lint; then
  echo "== lint"
  python3 scripts/lint.py || broken+=(lint)
fi

echo "== bazel test ${targets[*]} ${given[*]}"
bazel test --keep_going --build_event_json_file="$scratch/events" "${arguments[@]}" "${given[@]}" "${targets[@]}" ||
  broken+=("bazel test (exit code $?)")

python3 scripts/count_tests.py "$scratch/events" "${broken[@]}"
