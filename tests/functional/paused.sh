# A backup is stopped for a long time, wherever it is, while others back up the same files and others by the same key, forget, and check; then
# it goes on, and commits as if nothing had happened.
. "$(dirname "$0")/lib.sh" "$1"
rounds=3
[ -z "${COPPICE_SOAK:-}" ] || rounds=40
seed=${COPPICE_SEED:-$RANDOM}
RANDOM=$seed
echo "COPPICE_SEED=$seed"
new_vault
some_files "$work/files"
mkdir "$work/other"
for round in $(seq 1 "$rounds"); do
  head -c 12000000 /dev/urandom > "$work/files/c/round"
  cp -a "$work/files" "$work/was"
  "$coppice" backup -q --memory-max 128M --limit-rate 20M "$work/files" > "$work/slow" 2>&1 &
  slow=$!
  sleep "0.$((RANDOM % 9))"
  kill -STOP "$slow" 2> /dev/null || true
  before=$("$coppice" list --json | wc -l)
  head -c 3000000 /dev/urandom > "$work/other/file"
  status 0 "$coppice" backup -q "$work/other"
  status 0 "$coppice" backup -q "$work/files"
  status 0 "$coppice" backup -q "$work/other"
  status 0 "$coppice" check
  id=$("$coppice" list --json --path "$work/other" | sed -n 's/.*"id":"\([0-9a-f]*\)".*/\1/p' | head -n 1)
  status 0 "$coppice" forget --yes "$id"
  kill -CONT "$slow" 2> /dev/null || true
  wait "$slow" || { cat "$work/slow" >&2; die "a backup that had been stopped failed in round $round"; }
  [ "$("$coppice" list --json | wc -l)" -ge $((before + 2)) ] || die "a snapshot is missing in round $round"
  status 0 "$coppice" check --read-data
  for id in $("$coppice" list --json --path "$work/files" | sed -n 's/.*"id":"\([0-9a-f]*\)".*/\1/p' | tail -n 2); do
    rm -rf "$work/back"
    status 0 "$coppice" restore -q "$id:$work/files" --to "$work/back"
    same "$work/was" "$work/back"
  done
  rm -rf "$work/was"
  status 0 "$coppice" backup -q "$work/files"
done
