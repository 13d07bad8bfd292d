# kill -9 at any moment: the next backup succeeds, check is clean, the newest snapshot restores exactly.
. "$(dirname "$0")/lib.sh" "$1"
new_vault
some_files "$work/files"
rounds=${COPPICE_SOAK:+100}
for round in $(seq 1 "${rounds:-8}"); do
  head -c 20000000 /dev/urandom > "$work/files/round"
  "$coppice" backup -q "$work/files" > /dev/null 2>&1 &
  pid=$!
  sleep "0.$((RANDOM % 10))$((RANDOM % 10))"
  kill -9 "$pid" 2> /dev/null || true
  wait "$pid" 2> /dev/null || true
  status 0 "$coppice" check -q
done
status 0 "$coppice" backup "$work/files"
status 0 "$coppice" check --read-data
status 0 "$coppice" restore "latest:$work/files" --to "$work/back"
same "$work/files" "$work/back"
