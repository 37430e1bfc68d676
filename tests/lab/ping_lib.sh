# Sourced, after test_lib.sh, by tests of what pods notice: pings every millisecond between them, for as
# long as something is done to their network. A case that uses these sees each lost and each doubled reply.
# shellcheck shell=bash

declare -A ping_pids=()

ping_file() { echo "${case_dir:?}/ping.$1"; }

replies() { grep -c ' time=' "$(ping_file "$1")" 2>/dev/null || true; }

# start_ping NAME FROM TO: until end_ping NAME. It is under way when this returns.
start_ping() {
  # Not `lab`: the process that is ended has to be this one, which takes its command with it.
  bash "${lab_sh:?}" --name "${LAB_NAME:?}" exec "$2" ping -n -i 0.001 "$3" >"$(ping_file "$1")" 2>&1 &
  ping_pids[$1]=$!
  ping_goes_on "$1"
}

# Fails unless another hundred replies come.
ping_goes_on() {
  local want
  want=$(($(replies "$1") + 100))  # 100 where there is no file yet
  has_replies() { (($(replies "$1") >= want)); }
  wait_for 30 has_replies "$1"
}

# "ANSWERED LOST DOUBLED" of a ping's output: numbers have 16 bits and start at 1. What is under way at the
# end is not lost.
judge_ping() {
  awk '
    / bytes from .* icmp_seq=[0-9]+ .*time=/ {
      match($0, /icmp_seq=[0-9]+/)
      number = substr($0, RSTART + 9, RLENGTH - 9) + 65536 * rounds
      if (number < highest - 32768) { rounds++; number += 65536 }
      if (number > highest + 32768) number -= 65536
      if (number in seen) { doubled++; next }
      seen[number] = 1
      answered++
      if (number > highest) highest = number
    }
    END { print answered + 0, highest - answered, doubled + 0 }' "$1"
}

# Between which numbers replies are missing.
gaps() {
  awk '/ time=/ && match($0, /icmp_seq=[0-9]+/) {
    number = substr($0, RSTART + 9, RLENGTH - 9) + 0
    if (number != (last + 1) % 65536) print last "-" number
    last = number
  }' "$1"
}

# end_ping NAME: fails unless it still gets replies, and each of its requests got exactly one.
end_ping() {
  ping_goes_on "$1"
  kill "${ping_pids[$1]}"
  { wait "${ping_pids[$1]}" || true; } 2>/dev/null  # bash would say that it was killed
  unset "ping_pids[$1]"
  local answered lost doubled
  read -r answered lost doubled < <(judge_ping "$(ping_file "$1")")
  echo "ping $1: $answered answered, $lost lost, $doubled doubled"
  if ((lost + doubled > 0)); then
    { gaps "$(ping_file "$1")" && grep -v ' time=' "$(ping_file "$1")"; } | tail -n 10 >&2
    fail "ping $1 lost $lost replies of $answered, and got $doubled twice"
  fi
}

end_pings() {
  local ping
  for ping in "${!ping_pids[@]}"; do end_ping "$ping"; done
}
