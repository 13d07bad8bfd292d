# coppice plan run: hooks, the lock, a failing hook, keep rules, log, report, interruption, a kill; coppice plan keep and
# coppice forget --keep-...
. "$(dirname "$0")/lib.sh" "$1"
new_vault
mkdir "$work/data"
echo content > "$work/data/file"
echo x > "$work/data/scratch.tmp"
log="$work/log/data.log"
hooks="$work/hooks"
mkdir "$hooks"
hook() {  # hook NAME: an executable from standard input
  { echo '#!/bin/sh'; cat; } > "$hooks/$1"
  chmod 700 "$hooks/$1"
}
configure() {  # configure LINES...: plan data with them
  { echo "vault = \"$COPPICE_VAULT\""; echo "[plan.data]"; echo "sources = [\"$work/data\"]"; echo "exclude = [\"*.tmp\"]"
    echo "log = \"$log\""; printf '%s\n' "$@"; } > "$COPPICE_CONFIG_DIR/coppice.toml"
}
run() { "$coppice" plan run data "$@"; }
snapshots() { "$coppice" list --json --tag plan:data | wc -l; }
field() {  # field JSON-FILE EXPRESSION over d, the last object of the file
  python3 -c 'import json,sys; d=[json.loads(l) for l in open(sys.argv[1]) if l.strip()][-1]; print(eval(sys.argv[2]))' "$1" "$2"
}
newest_report() { ls "$COPPICE_STATE_DIR/plans/data/reports/"*.json | tail -n 1; }

# A good run: one line for a person, a log with the host's zone, a report, a snapshot with its tag.
hook before <<< 'echo "frozen $COPPICE_PLAN"'
hook after <<< "env > '$work/after-env'"
configure "before = [[\"$hooks/before\"]]" "after = [[\"$hooks/after\"]]" 'keep = { last = 2 }' 'tags = ["nightly"]' 'timezone = "Asia/Shanghai"'
COPPICE_PASSPHRASE_FILE="$work/passphrase" status 0 run
says "^plan data: snapshot [0-9a-f]*: 1 file, 8 B; 1 new, added .* kept, 0 forgotten$"
[ "$(wc -l < "$work/out")" = 1 ] || die "more than the one line: $(cat "$work/out")"
[ "$(snapshots)" = 1 ] || die "no snapshot with the plan's tag"
grep -q '^COPPICE_RESULT=good$' "$work/after-env" || die "the after-hook was not told the result"
! grep -q PASSPHRASE "$work/after-env" || die "a hook was told where the passphrase is"
grep -qE '^20[0-9-]{8}T[0-9:]{8}\+08:00 data\[[0-9]+\] start: coppice ' "$log" || die "the log: $(cat "$log")"
grep -qE ' end: good: snapshot ' "$log" || die "the log: $(cat "$log")"
[ "$(field "$(newest_report)" 'd["result"], d["hooks"][0]["output"]')" = "('good', 'frozen data\\n')" ] || die "$(cat "$(newest_report)")"
[ "$(stat -c %a "$log" "$(newest_report)" | sort -u)" = 600 ] || die "log or report is open to others"

# Each run opens the log anew: a rotated one stays behind.
mv "$log" "$log.1"
for _ in 1 2 3; do status 0 run; done
says "2 kept, 1 forgotten"
[ "$(snapshots)" = 2 ] || die "$(snapshots) snapshots with last = 2"
[ "$(grep -c ' start: ' "$log")" = 3 ] || die "a rotated log was written to"

# A failing before-hook: no backup, after-hooks all the same, its output in the report; honest status.
hook before <<< 'echo "the database does not answer" >&2; exit 7'
status 1 run
says "plan data: FAILED: before-hook .*/before ended with status 7; no snapshot was made"
says "the database does not answer"
grep -q '^COPPICE_RESULT=failed$' "$work/after-env" || die "the after-hook did not run"
[ "$(snapshots)" = 2 ] || die "a failing hook did not stop the backup"
field "$(newest_report)" 'd["hooks"][0]["output"]' | grep 'does not answer' > /dev/null || die "$(cat "$(newest_report)")"
status 1 run --json
[ "$(field "$work/out" 'd["type"]')" = error ] || die "$(cat "$work/out")"
hook before <<< 'true'
hook after <<< 'exit 1'
status 3 run
says "; 1 warning$"

# A hook that takes too long is stopped, with what it started.
readonly nap=$((10000000 + $$))   # seconds that no other process sleeps
hook before <<< "sleep $nap & sleep $nap"
configure "before = [{ argv = [\"$hooks/before\"], timeout = \"1s\" }]"
status 1 run
says "did not end within 1 s and was stopped"
! pgrep -f "sleep $nap" > /dev/null || die "what the hook started is still there"

# Never two at once: the second says who runs, and since when. SIGTERM ends the first in order.
hook before <<< "touch '$work/started'; sleep 60"
hook after <<< "env > '$work/after-env'"
configure "before = [[\"$hooks/before\"]]" "after = [[\"$hooks/after\"]]"
start() {  # starts a run and waits until its hook is on; its process in $pid
  rm -f "$work/started"
  "$coppice" plan run data > "$work/first" 2>&1 &
  pid=$!
  for _ in $(seq 1 200); do [ ! -e "$work/started" ] || return 0; sleep 0.05; done
  die "the run did not start: $(cat "$work/first")"
}
start
status 1 run
says "plan data is running already: process $pid, since 20"
kill -TERM "$pid"
ended=0
wait "$pid" || ended=$?
[ "$ended" = 1 ] || die "interrupted, it ended with $ended"
grep -q "the after-hooks still run" "$work/first" || die "nothing tells of the after-hooks: $(cat "$work/first")"
grep -q '^COPPICE_RESULT=interrupted$' "$work/after-env" || die "the after-hook did not run"
tail -n 1 "$log" | grep ' end: interrupted: interrupted; no snapshot was made' > /dev/null || die "$(tail -n 3 "$log")"
[ "$(field "$(newest_report)" 'd["result"]')" = interrupted ] || die "$(cat "$(newest_report)")"

# A terminal that closes ends a run in order too, however often it says so; nohup keeps it from that.
cat > "$work/close.py" <<'PY'
# close.py STARTED COMMAND...: runs COMMAND on a terminal of its own, which closes as soon as the file STARTED is there.
import os, pty, signal, sys, time
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
while not os.path.exists(sys.argv[1]):
    time.sleep(0.05)
os.close(terminal)
os.kill(pid, signal.SIGHUP)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PY
rm -f "$work/started" "$work/after-env"
status 1 python3 "$work/close.py" "$work/started" "$coppice" plan run data
grep -q '^COPPICE_RESULT=interrupted$' "$work/after-env" || die "the terminal closed, and the after-hook did not run"
[ "$(field "$(newest_report)" 'd["result"]')" = interrupted ] || die "$(cat "$(newest_report)")"
hook before <<< "touch '$work/started'; sleep 1"
rm -f "$work/started"
status 0 env -C "$work" python3 "$work/close.py" "$work/started" "$(command -v nohup)" "$coppice" plan run data
[ "$(field "$(newest_report)" 'd["result"]')" = good ] || die "$(cat "$(newest_report)")"

# SIGKILL in the middle of the backup: the next look, and the next run, see that it did not end. Interrupted there, that one says so; what both
# had stored is used by the run after them.
head -c 16000000 /dev/urandom > "$work/data/large"
configure 'limit-rate = "4M"' 'memory-max = "128M"'   # small packs
packs() { find "$COPPICE_VAULT/packs" -type f ! -name '.*' | wc -l; }
slow() {  # slow SIGNAL: a run that gets the signal when it has stored something; its status in $ended
  local before
  before=$(packs)
  "$coppice" plan run data > "$work/first" 2>&1 &
  pid=$!
  for _ in $(seq 1 600); do [ "$(packs)" = "$before" ] || break; sleep 0.05; done
  kill "-$1" "$pid"
  ended=0
  wait "$pid" 2> /dev/null || ended=$?
}
slow KILL
[ "$ended" = 137 ] || die "killed, it ended with $ended"
status 1 "$coppice" status
says "NOT GOOD: did not end"
slow TERM
[ "$ended" = 1 ] || die "interrupted, it ended with $ended: $(cat "$work/first")"
! grep -q "after-hooks" "$work/first" || die "after-hooks are told of where there are none"
grep -q "what was stored (.* MB) is kept" "$work/first" || die "it does not say what it leaves: $(cat "$work/first")"
grep -q 'notice: the run that began .* did not end' "$log" || die "the log does not tell of the run that was killed"
[ "$(field "$(newest_report)" 'd["result"], len(d["notices"])')" = "('interrupted', 1)" ] || die "$(cat "$(newest_report)")"
status 1 "$coppice" status
says "data: interrupted; no snapshot was made"
configure
status 0 run
[ "$(field "$(newest_report)" 'd["result"], len(d["notices"])')" = "('good', 0)" ] || die "$(cat "$(newest_report)")"
stored=$(du -sb "$COPPICE_VAULT/packs" | cut -f1)
[ "$stored" -lt 20000000 ] || die "16 MB were stored as $stored bytes"

# What keep rules say, and why; forgetting by them, of a plan and of all.
configure 'keep = { last = 1 }'
before=$(snapshots)
status 0 "$coppice" plan keep data --dry-run
says "  keep    [0-9a-f]\{12\}  20.*last 1 of 1"
says "  forget  [0-9a-f]\{12\}  20.*no rule keeps it"
says "^dry run: $((before - 1)) of $before snapshots would be forgotten"
[ "$(snapshots)" = "$before" ] || die "a dry run forgot something"
status 0 "$coppice" forget --keep-last 1 --dry-run --json
python3 - "$work/out" <<'PY' || die "$(cat "$work/out")"
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
assert [l["keep"] for l in lines[:-1]] == [False] * (len(lines) - 2) + [True], lines
assert all(l["reasons"] for l in lines[:-1]) and lines[-1]["forgotten"] == len(lines) - 2
PY
! grep -q "keep rules of plan" "$work/out" "$work/err" || die "what the plan keeps as well was told of"
configure 'keep = { last = 2 }'
status 0 "$coppice" forget --keep-last 1 --dry-run
says "^coppice: the keep rules of plan data would keep 1 of these: [0-9a-f]\{12\}$"
says "^  'coppice plan keep data --dry-run' says"
status 0 "$coppice" forget --tag plan:data --dry-run
says "^coppice: the keep rules of plan data would keep 2 of these: [0-9a-f]\{12\}, [0-9a-f]\{12\}$"
status 0 "$coppice" forget --tag plan:data --dry-run --json
grep -q '"type":"notice","message":"the keep rules' "$work/out" || die "no notice: $(cat "$work/out")"
configure 'keep = { last = 1 }'
status 0 "$coppice" forget --keep-daily 7 --keep-within 1h --dry-run
says "^dry run: 0 of $before"
mkdir "$work/other"
status 0 "$coppice" backup -q "$work/other"
status 0 "$coppice" backup -q "$work/other"
status 0 "$coppice" plan keep data --yes
says "$((before - 1)) forgotten, 1 left"
[ "$(snapshots)" = 1 ] || die "plan keep left $(snapshots)"
status 0 "$coppice" forget --keep-last 1 --yes
says "1 forgotten, 2 left"
status 0 "$coppice" forget --keep-last 1 --yes
says "nothing to forget, 2 kept"

# Asked wrongly, or of what is not there.
status 2 "$coppice" forget --keep-last 1 latest
status 2 "$coppice" forget --keep-last 0
status 2 "$coppice" forget --keep-within soon
status 2 "$coppice" plan run
status 1 "$coppice" plan run nosuch
says "there is no plan 'nosuch'"
configure
status 1 "$coppice" plan keep data
says "has no keep rules"
# A vault that is not there is a failed run like any other.
mv "$COPPICE_VAULT" "$work/away"
status 1 run
says "FAILED: no snapshot was made: there is no vault at"
[ "$(field "$(newest_report)" 'd["error"]["kind"]')" = not_found ] || die "$(cat "$(newest_report)")"

# Another's key may claim this host and this plan: its snapshots push out none of ours.
mv "$work/away" "$work/vault"
configure 'keep = { last = 2 }'
status 0 run
status 0 "$coppice" key export --passphrase-file "$work/passphrase" --role writer --name thief --out "$work/thief.key"
host=$("$coppice" list --json --tag plan:data | sed -n 's/.*"host":"\([^"]*\)".*/\1/p' | head -n 1)
for _ in 1 2 3; do status 0 "$coppice" backup -q --key-file "$work/thief.key" --host "$host" --tag plan:data "$work/other"; done
status 0 run
signers=$("$coppice" list --json --tag plan:data | sed -n 's/.*"signer":"\([^"]*\)".*/\1/p' | sort | uniq -c | awk '{print $1}' | sort | xargs)
[ "$signers" = "2 3" ] || die "of two of ours and three of another's there are left: $signers"

# A source that is gone, or cannot be read: the rest is stored, the run is not good, and the keep rules let no whole snapshot go for it.
mkdir "$work/second" "$work/third"
echo x > "$work/second/file"
cat > "$COPPICE_CONFIG_DIR/coppice.toml" <<TOML
vault = "$COPPICE_VAULT"
[plan.pair]
sources = ["$work/second", "$work/third"]
keep = { last = 2 }
TOML
echo y > "$work/third/file"
pair() { "$coppice" list --json --tag plan:pair | wc -l; }
whole() { "$coppice" list --json --tag plan:pair | grep -c '"complete":true'; }
for _ in 1 2 3; do status 0 "$coppice" plan run pair; done
[ "$(pair) $(whole)" = "2 2" ] || die "$(pair) snapshots, $(whole) of them whole"
mv "$work/third" "$work/away"
for _ in 1 2 3; do status 3 "$coppice" plan run pair; done
says "; PARTIAL: $work/third could not be read; "
[ "$(pair) $(whole)" = "4 2" ] || die "without a source: $(pair) snapshots, $(whole) of them whole"
status 1 "$coppice" status
says "NOT GOOD: failed"
status 0 "$coppice" list --tag plan:pair
says "(partial)"
status 3 "$coppice" restore latest --tag plan:pair --to "$work/partial"
says "is partial: when it was made, a source was missing or could not be read"
mv "$work/away" "$work/third"
for _ in 1 2; do status 0 "$coppice" plan run pair; done
[ "$(pair) $(whole)" = "2 2" ] || die "when it is back: $(pair) snapshots, $(whole) of them whole"
status 0 "$coppice" status
mkdir "$work/fuse"
if [ "$(id -u)" = 0 ] && command -v bindfs > /dev/null && bindfs "$work/second" "$work/fuse" 2> /dev/null; then
  trap 'umount -l "$work/fuse" 2> /dev/null || true; rm -rf "$work"' EXIT
  sed -i "s|/third\"|/fuse\"|" "$COPPICE_CONFIG_DIR/coppice.toml"
  status 0 "$coppice" plan run pair
  pkill -9 -f "^bindfs $work/second $work/fuse\$"
  for _ in $(seq 100); do ls "$work/fuse" > /dev/null 2>&1 || break; sleep 0.05; done
  status 3 "$coppice" plan run pair
  says "PARTIAL: $work/fuse could not be read"
  status 1 "$coppice" backup "$work/fuse"
  says "$work/fuse cannot be read"
fi

# Root runs no hooks of a file that others can change.
if [ "$(id -u)" = 0 ]; then
  configure 'before = [["/bin/true"]]'
  chmod 0666 "$COPPICE_CONFIG_DIR/coppice.toml"
  status 1 run
  says "can be changed by others"
  status 0 env -u COPPICE_VAULT "$coppice" list
  chmod 0644 "$COPPICE_CONFIG_DIR/coppice.toml"
  chown 65534 "$COPPICE_CONFIG_DIR/coppice.toml"
  status 1 run
  says "can be changed by others (it is of user 65534"
  chown 0 "$COPPICE_CONFIG_DIR/coppice.toml"
  status 0 run
fi
