# The first Ctrl-C stops the backup in order, says what is kept and how to go on; the same command then stores nothing twice.
# A second one ends the process at once, with status 130.
. "$(dirname "$0")/lib.sh" "$1"
new_vault
mkdir "$work/files"
head -c 60000000 /dev/urandom > "$work/files/large"
packs() { find "$work/vault" -path '*/packs/*' -type f | wc -l; }
stop() {  # stop SIGNAL...: starts a slow backup, waits until it has stored something, sends the signals; its status in $ended
  local before
  before=$(packs)
  set -m   # a background job of a shell without job control would ignore SIGINT
  "$coppice" backup --limit-rate 4M "$work/files" > "$work/out" 2> "$work/err" &
  local pid=$!
  set +m
  for _ in $(seq 1 600); do
    [ "$(packs)" = "$before" ] || break
    sleep 0.05
  done
  for signal in "$@"; do
    kill "-$signal" "$pid" 2> /dev/null || break   # it may be quicker than the second
    sleep 0.05
  done
  ended=0
  wait "$pid" || ended=$?
}
stop INT
[ "$ended" = 1 ] || { cat "$work/err" >&2; die "interrupted, it ended with $ended"; }
says "what was stored (.* MB) is kept"
says "same command"
says "now without --limit-rate"
[ "$("$coppice" list --json | wc -l)" = 0 ] || die "an interrupted backup left a snapshot"
status 0 "$coppice" backup "$work/files"
says "went on"
added=$(sed -n 's/.*, added \(.*\) in .*/\1/p' "$work/out")
[ -n "$added" ] && "$coppice" list > "$work/out" && says " $added "   # both count what the interrupted run stored
stored=$(du -sb "$work/vault/packs" | cut -f1)
[ "$stored" -lt 75000000 ] || die "60 MB were stored as $stored bytes: something was stored twice"

# The pack whose storing the second signal cut off is not known to be stored: it may be stored again.
head -c 60000000 /dev/urandom > "$work/files/another"
stop TERM INT
[ "$ended" = 130 ] || [ "$ended" = 1 ] || die "interrupted twice, it ended with $ended"
status 0 "$coppice" backup "$work/files"
status 0 "$coppice" check --read-data
status 0 "$coppice" restore "latest:$work/files" --to "$work/back"
same "$work/files" "$work/back"

# How long a run took is with the time that a rate makes it wait at its end.
head -c 8000000 /dev/urandom > "$work/small"
status 0 "$coppice" backup --limit-rate 4M "$work/small"
took=$("$coppice" list --json --last 1 | sed -n 's/.*"duration_ms":\([0-9]*\).*/\1/p')
[ "$took" -ge 1000 ] || die "8 MB at 4 MB/s took $took ms"
