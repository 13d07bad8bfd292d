# What the two boots share.
set -euo pipefail
work=/run/guest
mkdir -p "$work"
step() { echo "guest: $(cut -d' ' -f1 /proc/uptime) $*"; }
die() { echo "guest: FAILED: $*"; exit 1; }
status() {  # status N COMMAND...: the command must end with exactly that status
  local wanted=$1 got=0
  shift
  "$@" > "$work/out" 2>&1 || got=$?
  [ "$got" = "$wanted" ] || { cat "$work/out"; die "'$*' ended with $got, wanted $wanted"; }
}
says() { grep -q -- "$1" "$work/out" || { cat "$work/out"; die "nothing said: $1"; }; }
next() { systemctl show -p NextElapseUSecRealtime --value "coppice-plan-$1.timer"; }
runs() { grep -c ' start: ' "/var/log/coppice/$1.log" || :; }
ended() { grep -c ' end: ' "/var/log/coppice/$1.log" || :; }
await_runs() {  # await_runs PLAN N: until N runs have ended, and no more began
  local i
  for i in $(seq 1 120); do [ "$(ended "$1")" -lt "$2" ] || break; sleep 0.5; done
  sleep 3
  [ "$(runs "$1")" = "$2" ] && [ "$(ended "$1")" = "$2" ] || { cat "/var/log/coppice/$1.log"; die "of plan $1 there are $(runs "$1") runs, wanted $2"; }
}
