# Sourced by the lab's tests. Every function of the sourcing file whose name starts with a capital
# letter is a test case; `run_tests "$@"` at its end runs them in the order of the file (those named in
# the arguments, if any), each in a subshell under `set -e` with a lab name and an empty directory, $case_dir,
# of its own, and writes JUnit XML where Bazel asks for it.
# shellcheck shell=bash
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

# shellcheck disable=SC2034  # for the test cases
lab_sh=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/lab.sh

# The lab of the running test case. Gone at the latest when the test's process is.
lab() { bash "$lab_sh" --name "$LAB_NAME" "$@"; }
lab_up() { lab up --until-exit-of $$ "$@"; }

fail() {
  echo "FAILED at ${BASH_SOURCE[1]##*/}:${BASH_LINENO[0]}: $*" >&2
  exit 1
}

end_labs() {  # PREFIX of their names
  local lab
  for lab in "/tmp/podroute-lab-$EUID-$1"*; do
    [[ -e $lab ]] || continue
    LAB_NAME=${lab#"/tmp/podroute-lab-$EUID-"} lab down
  done
}

# Ends the test case as neither passed nor failed.
skip() {
  echo "SKIPPED: $*"
  exit 77
}

expect_eq() {  # WHAT EXPECTED ACTUAL
  [[ "$2" == "$3" ]] || fail "$1: expected '$2', got '$3'"
}

expect_contains() {  # WHAT PART TEXT
  [[ "$3" == *"$2"* ]] || fail "$1: expected it to contain '$2', got: $3"
}

# MACHINE: its routes as somebody made them, without what the kernel says of their links in its own time: a
# bridge without ports turns "linkdown" up to a second after it was made.
all_routes() { lab exec "$1" ip route show | sed -E 's/ (linkdown|dead)\b//g'; }

# wait_for SECONDS CMD...: until CMD succeeds; the deadline is for when it never will, no measurement.
wait_for() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < deadline)) || fail "waited in vain for: $*"
    sleep 0.01
  done
}

not() { ! "$@"; }

xml_escape() {
  # Control characters cannot stand in XML.
  tr -d '\000-\010\013-\037' | sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g; s/"/\&quot;/g'
}

# The same that lab.sh does it with; unlike there it is no failure that somebody is not allowed to.
may_make_namespaces() {
  local -a own=(unshare --net --mount --pid --uts --ipc --fork --kill-child)
  "${own[@]}" true 2>/dev/null || "${own[@]}" --user --map-root-user true 2>/dev/null
}

run_tests() {
  local -a cases=("$@")
  ((${#cases[@]} > 0)) || mapfile -t cases < <(grep -oE '^[A-Z][A-Za-z0-9]*\(\)' "$0" | tr -d '()')
  local scratch case result failures=0 number=0 allowed=true
  may_make_namespaces || allowed=false
  scratch=$(mktemp -d)
  # shellcheck disable=SC2064  # now
  trap "rm -rf '$scratch'" EXIT
  for case in "${cases[@]}"; do
    number=$((number + 1))
    case_dir=$scratch/case
    rm -rf "$case_dir"
    mkdir "$case_dir"
    echo "[ RUN      ] $case"
    local started=${EPOCHREALTIME/./}
    set +e
    (
      set -e
      export LAB_NAME="test-$$-$number"
      # Expanded now: the trap may run inside a function that has another LAB_NAME for a moment.
      # shellcheck disable=SC2064
      trap "end_labs $LAB_NAME" EXIT
      $allowed || skip "this user or container may not make namespaces (a container: start it with --privileged)"
      "$case"
    ) >"$scratch/output" 2>&1
    result=$?
    set -e
    cat "$scratch/output"
    local ms=$(((${EPOCHREALTIME/./} - started) / 1000)) inner=""
    case $result in
      0) echo "[       OK ] $case ($ms ms)" ;;
      77)
        echo "[  SKIPPED ] $case"
        inner="<skipped message=\"$(sed -n 's/^SKIPPED: //p' "$scratch/output" | tail -n1 | xml_escape)\"/>"
        ;;
      *)
        echo "[  FAILED  ] $case ($ms ms)"
        failures=$((failures + 1))
        inner="<failure message=\"exit code $result\">$(xml_escape <"$scratch/output")</failure>"
        ;;
    esac
    printf '<testcase classname="%s" name="%s" time="%d.%03d">%s</testcase>\n' "$(basename "$0" .sh)" "$case" \
      $((ms / 1000)) $((ms % 1000)) "$inner" >>"$scratch/cases"
  done
  if [[ -n ${XML_OUTPUT_FILE:-} ]]; then
    {
      echo '<?xml version="1.0" encoding="UTF-8"?>'
      echo "<testsuites><testsuite name=\"$(basename "$0" .sh)\" tests=\"$number\" failures=\"$failures\">"
      cat "$scratch/cases"
      echo '</testsuite></testsuites>'
    } >"$XML_OUTPUT_FILE"
  fi
  echo "$number cases, $failures failed"
  ((failures == 0))
}
