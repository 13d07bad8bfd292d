# coppice status: what it says of plans that never ran, are good, failed, are too old, did not run when they were due; exit
# status, JSON, and Prometheus text, read by a strict parser (and by promtool where there is one).
. "$(dirname "$0")/lib.sh" "$1"
new_vault
mkdir "$work/data"
echo content > "$work/data/file"
config="$COPPICE_CONFIG_DIR/coppice.toml"
status 1 "$coppice" status
says "there is no plan in $config"
cat > "$config" <<TOML
vault = "$COPPICE_VAULT"
[plan.data]
sources = ["$work/data"]
schedule = "*-*-* *:00/5"
timezone = "Europe/Berlin"
log = "$work/data.log"
[plan.other]
sources = ["$work/data"]
after = [["/bin/false"]]
log = "$work/other.log"
TOML
state() { echo "$COPPICE_STATE_DIR/plans/$1/state.json"; }
# age PLAN SECONDS: its last run, and the last good one, began that long ago.
age() {
  python3 - "$(state "$1")" "$2" <<'PY'
import datetime, json, sys
at = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=int(sys.argv[2]))
state = json.load(open(sys.argv[1]))
for run in state.values():
    if isinstance(run, dict):
        run["started"] = run["ended"] = at.strftime("%Y-%m-%dT%H:%M:%SZ")
json.dump(state, open(sys.argv[1], "w"))
PY
}
verdict() { "$coppice" status --json "$@" 2> /dev/null | python3 -c 'import json,sys; print(" ".join(d["plan"] + "=" + d["verdict"] for d in map(json.loads, sys.stdin) if d["type"] == "plan_status"))'; }

status 1 "$coppice" status
says "data .*never .*NOT GOOD: never ran"
status 0 "$coppice" plan run data
status 0 "$coppice" status data
says "^data *20[0-9-]* [0-9:]* CES\?T *[0-9]* s *20[0-9-]* [0-9:]* CES\?T *good$"   # the plan's zone
[ "$(verdict)" = "data=good other=never_ran" ] || die "$(verdict)"
status 3 "$coppice" plan run other   # a source that is missing is a warning
status 0 "$coppice" status
says "^other: snapshot .*; 1 warning"
says "by hand"
status 0 "$coppice" status --max-age 1h
age other 7200
[ "$(verdict --max-age 1h)" = "data=good other=too_old" ] || die "$(verdict --max-age 1h)"
status 1 "$coppice" status --max-age 1h
says "other: the last good run is 2 h old"
status 0 "$coppice" status --max-age 3h
age data 7200
[ "$(verdict)" = "data=overdue other=good" ] || die "$(verdict)"
status 0 "$coppice" plan run data
mv "$COPPICE_VAULT" "$work/away"
status 1 "$coppice" plan run data
[ "$(verdict)" = "data=failed other=good" ] || die "$(verdict)"
status 1 "$coppice" status -q
[ "$(grep -c '^data: FAILED: no snapshot was made: there is no vault' "$work/out")" = 1 ] || die "$(cat "$work/out")"
mv "$work/away" "$COPPICE_VAULT"
echo '{' > "$(state other)"
[ "$(verdict)" = "data=failed other=unreadable" ] || die "$(verdict)"
status 3 "$coppice" plan run other

# Prometheus: written as a whole, for others to read, whatever the umask and the verdict.
prom="$work/coppice.prom"
status 1 "$coppice" status -q --prometheus "$prom"
[ "$(stat -c %a "$prom")" = 644 ] || die "mode $(stat -c %a "$prom")"
[ "$(ls -A "$work" | grep -c 'coppice.prom\|\.tmp-')" = 1 ] || die "something was left beside it"
python3 - "$prom" <<'PY' || die "$(cat "$prom")"
import re, sys, time
text = open(sys.argv[1], encoding="utf-8").read()
assert text.endswith("\n") and "\n\n" not in text
helped, typed, samples, current = set(), set(), {}, None
for line in text.splitlines():
    if found := re.fullmatch(r"# HELP (coppice_[a-z_]+) ([^\\]+)", line):
        current = found[1]
        assert current not in helped, f"a second HELP of {current}"
        helped.add(current)
    elif found := re.fullmatch(r"# TYPE ([a-z_]+) gauge", line):
        assert found[1] == current and current not in typed
        typed.add(current)
    else:
        found = re.fullmatch(r'([a-z_]+)\{plan="([^"\\\n]*)"\} (-?[0-9]+)', line)
        assert found, line
        assert found[1] == current and current in typed, f"{line}: not below its HELP and TYPE"
        assert (found[1], found[2]) not in samples, f"{line}: twice"
        samples[found[1], found[2]] = int(found[3])
of = lambda name, plan: samples["coppice_plan_" + name, plan]
assert (of("good", "data"), of("good", "other")) == (0, 1)
assert of("last_run_success", "data") == 0 and of("last_run_warnings", "other") == 1
now = time.time()
assert now - 60 < of("last_success_timestamp_seconds", "data") <= of("last_run_timestamp_seconds", "data") <= now
assert now < of("next_run_timestamp_seconds", "data") <= now + 300
assert ("coppice_plan_next_run_timestamp_seconds", "other") not in samples
assert of("snapshot_files", "data") == 1 and of("snapshot_bytes", "data") == 8
PY
! command -v promtool > /dev/null || promtool check metrics < "$prom" || die "promtool refuses it"
status 1 "$coppice" status --prometheus "$work/no/such/place.prom"
status 2 "$coppice" status --max-age soon
status 1 "$coppice" status nosuch

# A run that hangs is not good when the next one is overdue. It is not started a second time, and that is told.
sed -i 's|^schedule = .*|&\nbefore = [["/bin/sleep", "60"]]|' "$config"
"$coppice" plan run data > "$work/hanging" 2>&1 &
run=$!
for _ in $(seq 100); do [ "$(verdict data)" = "data=running" ] && break; sleep 0.05; done
status 0 "$coppice" status data
python3 - "$(state data)" <<'PY'
import datetime, json, sys
state = json.load(open(sys.argv[1]))
state["last"]["started"] = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
json.dump(state, open(sys.argv[1], "w"))
PY
status 1 "$coppice" status data --prometheus "$prom"
says "NOT GOOD: overdue"
says "^data: a run was due .* and none began; one is running since .* (process $run)$"
grep -q '^coppice_plan_good{plan="data"} 0$' "$prom" && grep -q '^coppice_plan_running{plan="data"} 1$' "$prom" || die "$(cat "$prom")"
status 0 "$coppice" plan due data
says "^data is due since .* and is not started: it is running since .* (process $run)$"
! grep -q "Nothing is due" "$work/out" || die "nothing is due, and something is"
status 0 "$coppice" plan due data -q
[ ! -s "$work/out" ] && [ ! -s "$work/err" ] || die "cron would mail every five minutes"
kill $run
wait $run || true
