# kill -9 at random moments of backup and of restore, and SIGSTOP: check stays clean, what was committed restores exactly, a kill costs at
# most the pack that was under way. COPPICE_SEED=n gives the moments of that run; COPPICE_SOAK=1 runs 500 rounds.
. "$(dirname "$0")/lib.sh" "$1"
rounds=100
[ -z "${COPPICE_SOAK:-}" ] || rounds=500
size=12000000
seed=${COPPICE_SEED:-$RANDOM}
RANDOM=$seed
echo "COPPICE_SEED=$seed"
new_vault
some_files "$work/files"
mkdir "$work/other" "$work/manifests"
head -c 2000000 /dev/urandom > "$work/other/file"
change() { head -c $size /dev/urandom > "$work/files/round"; }
backup=("$coppice" backup -q --memory-max 128M)   # small packs: more moments that differ
snapshots() { "$coppice" list --json --path "$work/files" | wc -l; }
manifest() { (cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum); }
now() { date +%s%N; }
# moment NANOSECONDS: sleeps for a random part of them.
moment() {
  local part=$(($1 / 32768 * RANDOM))
  sleep "$(printf '%d.%09d' $((part / 1000000000)) $((part % 1000000000)))"
}
# killed NANOSECONDS COMMAND...: runs it, stops it for a while now and then, kills it within the time.
killed() {
  local time=$1
  shift
  "$@" > "$work/out" 2> "$work/err" &
  local pid=$!
  moment "$time"
  if [ $((RANDOM % 3)) = 0 ]; then
    kill -STOP "$pid" 2> /dev/null || true
    sleep 0.1
    kill -CONT "$pid" 2> /dev/null || true
    moment $((time / 4))
  fi
  kill -9 "$pid" 2> /dev/null || true
  wait "$pid" 2> /dev/null || true
}

change
began=$(now)
status 0 "$coppice" init -q --vault "$work/vault2" --passphrase-file "$work/passphrase" --recovery-file "$work/sheet2"
COPPICE_VAULT="$work/vault2" status 0 "${backup[@]}" "$work/files"
takes=$(($(now) - began))
chmod -R u+w "$work/vault2" && rm -rf "$work/vault2"

committed=0
record() {   # a snapshot of what the files are now was made
  committed=$((committed + 1))
  manifest "$work/files" > "$work/manifests/$committed"
}
# settled KILLS ALLOWED: a run to the end; then each kill has left at most one pack that nothing names, and what the others hold is stored
# once, but for ALLOWED bytes.
settled() {
  status 0 "${backup[@]}" "$work/files"
  record
  [ "$(snapshots)" = "$committed" ] || die "$(snapshots) snapshots, $committed were committed"
  status 0 "$coppice" check --read-data
  read -r left left_bytes <<< "$(sed -n 's/^.*[^0-9]\([0-9][0-9]*\) packs* (\([0-9][0-9]*\) bytes).*of no snapshot.*$/\1 \2/p' "$work/out" "$work/err" | head -1)" || true
  [ "${left:-0}" -le "$1" ] || die "$1 kills left $left packs"
  local stored distinct=$((committed * size + 10000000))
  stored=$(du -sb "$work/vault/packs" | cut -f1)
  [ $((stored - ${left_bytes:-0})) -lt $((distinct + distinct / 50 + $2)) ] || die "$distinct bytes were stored as $stored, ${left_bytes:-0} of them left over"
  echo "$1 kills, $committed committed, ${left:-0} packs left over"
}
alone=$((rounds * 4 / 5))
for round in $(seq 1 "$rounds"); do
  if [ "$round" -gt "$alone" ]; then   # beside another one of the same writer, which nobody kills
    "${backup[@]}" "$work/other" > "$work/beside" 2>&1 &
    beside=$!
    killed "$takes" "${backup[@]}" "$work/files"
    wait "$beside" || { cat "$work/beside" >&2; die "a backup beside one that was killed failed"; }
  else
    killed "$takes" "${backup[@]}" "$work/files"
  fi
  [ $((round % 5)) != 0 ] || status 0 "$coppice" check -q
  [ $((round % 50)) != 0 ] || echo "round $round of $rounds"
  # However fast the machine is just now: about half of them die.
  if [ "$(snapshots)" -gt "$committed" ]; then
    record
    change
    takes=$((takes * 4 / 5))
  else
    takes=$((takes * 5 / 4))
  fi
  if [ "$round" = "$alone" ]; then
    settled "$alone" 0
    change
  fi
done
# Of two runs at once only one can adopt what a killed one had stored: the other may store it again.
settled "$rounds" $(((rounds - alone) * size))

n=0
for id in $("$coppice" list --json --path "$work/files" | sed -n 's/.*"id":"\([0-9a-f]*\)".*/\1/p'); do
  n=$((n + 1))
  [ $((n % (rounds / 20))) = 0 ] || [ "$n" = "$committed" ] || continue
  rm -rf "$work/back"
  status 0 "$coppice" restore -q "$id:$work/files" --to "$work/back"
  manifest "$work/back" > "$work/manifest"
  cmp -s "$work/manifest" "$work/manifests/$n" || die "snapshot $n of $committed does not restore what was backed up"
done
[ "$n" = "$committed" ] || die "$n snapshots were found, $committed committed"

rm -rf "$work/back"
began=$(now)
status 0 "$coppice" restore -q "latest:$work/files" --to "$work/back"
takes=$(($(now) - began))
rm -rf "$work/back"
for round in $(seq 1 "$rounds"); do
  killed "$takes" "$coppice" restore -q "latest:$work/files" --to "$work/back"
  [ $((round % 4)) != 0 ] || rm -rf "$work/back"
done
status 0 "$coppice" restore -q "latest:$work/files" --to "$work/back"
same "$work/files" "$work/back"
status 0 "$coppice" check -q
