# coppice plan list, test and due: what the configuration says, whether it can run, and what runs without systemd.
. "$(dirname "$0")/lib.sh" "$1"
new_vault
mkdir "$work/data"
echo content > "$work/data/file"
config="$COPPICE_CONFIG_DIR/coppice.toml"
configure() {  # configure LINES...: plan data with them
  { echo "vault = \"$COPPICE_VAULT\""; echo "[plan.data]"; echo "sources = [\"$work/data\"]"; echo "log = \"$work/log/data.log\""
    printf '%s\n' "$@"; } > "$config"
}
plan() { "$coppice" plan "$@"; }

status 0 plan list
says "There is no plan in $config"
configure 'schedule = "08:00"' 'timezone = "Asia/Shanghai"' '[plan.other]' 'sources = ["/etc", "/home"]'
status 0 plan list
says "^data *$work/data  \*-\*-\* 08:00:00  20.* 08:00 CST *-  *never ran  never$"
says "^other *\/etc +1 *by hand "
status 0 plan list --json
says '"type":"plan","name":"data".*"schedule":"\*-\*-\* 08:00:00","timezone":"Asia/Shanghai","next":"20.*T00:00:00Z"'

# A configuration that is wrong is refused by every command that needs it: where, what, and what would be right.
configure 'shedule = "08:00"'
status 1 plan list
says "$config:5: plan data: there is no setting 'shedule' here (is 'schedule' meant?)"
status 1 env -u COPPICE_VAULT "$coppice" list
says "$config:5: "
status 0 "$coppice" list

# Another configuration, by option or environment; one that was named must be there.
printf 'vault = "%s"\n[plan.second]\nsources = ["%s"]\n' "$COPPICE_VAULT" "$work/data" > "$work/second.toml"
status 0 plan list --config "$work/second.toml"
says "^second "
COPPICE_CONFIG="$work/second.toml" status 0 plan list
says "^second "
status 0 env -u COPPICE_VAULT "$coppice" list --config "$work/second.toml"
status 1 plan list --config "$work/third.toml"
says "third.toml"
# The configuration's vault is the plans' vault, whatever a shell says.
COPPICE_VAULT="$work/nowhere" status 0 plan test --config "$work/second.toml"

# Testing looks at everything and runs nothing.
touch "$work/excludes"
configure 'schedule = "08:00"' "exclude-files = [\"$work/excludes\"]" "before = [[\"touch\", \"$work/ran\"]]" 'keep = { last = 3 }'
status 0 plan test
for what in "source $work/data: directory" "hook touch" "vault $COPPICE_VAULT: it opens with a" "keep rules" "log $work/log/data.log: will be made" \
    "schedule .*: next 20" "Nothing was run"; do says "$what"; done
! grep "WRONG" "$work/out" || die "something is wrong"
[ ! -e "$work/ran" ] && [ ! -e "$work/log" ] && [ "$("$coppice" list --json | wc -l)" = 0 ] || die "a test left something"
rm "$work/excludes"
touch "$work/log"
configure "exclude-files = [\"$work/excludes\"]" 'before = [["no-such-program-here"], ["/etc/passwd"]]' '[plan.other]' "sources = [\"$work/missing\", \"$COPPICE_VAULT\"]"
status 1 plan test
for what in "WRONG data: what to take: .*excludes" "WRONG data: hook no-such-program-here: there is no such program in" "WRONG data: hook /etc/passwd" \
    "WRONG data: log $work/log/data.log" "WRONG other: source $work/missing" "WRONG other: what to take: .*data of the backup itself"; do says "$what"; done
status 1 plan test other --json
says '"type":"check","plan":"other","what":"source .*missing","good":false'
! grep '"plan":"data"' "$work/out" || die "plan data was not asked for"
status 1 plan test --vault "$work/nowhere" data
says "WRONG vault"
says "ok    data: source"
status 1 plan test nobody
says "there is no plan 'nobody'"
rm "$work/log"
"$coppice" key export --passphrase-file "$work/passphrase" --role writer --name writes --out "$work/writer.key" > /dev/null
configure 'keep = { last = 3 }'
status 0 plan test --key-file "$work/writer.key"
says "ok    data: keep rules: not applied by this host, whose key is a writer's"
status 1 plan keep data --dry-run --key-file "$work/writer.key"
says "a writer's: it can neither read nor forget"
! grep -e "--host" "$work/err" || die "an option is named that does not help"

printf 'vault = "%s"\n[plan.second]\nsources = ["%s"]\nlog = "/proc/coppice/second.log"\n' "$COPPICE_VAULT" "$work/data" > "$work/second.toml"
status 1 plan test --config "$work/second.toml"
says "WRONG second: log /proc/coppice/second.log: nothing can be made in /proc"

# What a run would stumble over: no room, nothing that can be written, a record that cannot be kept.
mkdir "$work/mounted"
if mount -t tmpfs -o size=16m none "$work/mounted" 2> /dev/null; then
  trap 'umount "$work/mounted"; rm -rf "$work"' EXIT
  cp -a "$COPPICE_VAULT" "$work/mounted/vault"
  status 1 plan test --vault "$work/mounted/vault"
  says "WRONG writing to the vault: .* has only .* free"
  mount -o remount,size=200m,ro "$work/mounted"
  status 1 plan test --vault "$work/mounted/vault"
  says "WRONG writing to the vault: nothing can be made in $work/mounted/vault: Read-only file system"
  umount "$work/mounted"
  trap 'rm -rf "$work"' EXIT
fi
configure 'schedule = "daily"' '[plan.stuck]' "sources = [\"$work/data\"]"
mkdir -p "$COPPICE_STATE_DIR/plans"
touch "$COPPICE_STATE_DIR/plans/stuck"
status 1 plan test
says "WRONG stuck: record of its runs: .*plans/stuck is no directory"
rm "$COPPICE_STATE_DIR/plans/stuck"

# Due: what never ran; then nothing, until the calendar says so. What was missed is made up for once.
configure 'schedule = "*-01-01 00:00"' 'timezone = "Asia/Shanghai"' '[plan.by-hand]' "sources = [\"$work/data\"]"
status 0 plan due --dry-run
says "^data is due since 20"
[ ! -e "$work/log" ] || die "a dry run ran"
status 0 plan due
says "plan data: snapshot"
status 0 plan due
says "Nothing is due"
python3 - "$COPPICE_STATE_DIR/plans/data/state.json" <<'PY'
import re, sys
text = open(sys.argv[1]).read()
open(sys.argv[1], "w").write(re.sub(r'("started": *")20\d\d', r'\g<1>2020', text))
PY
status 0 plan due --dry-run --json
says '"type":"due","plan":"data","since":"20..-12-31T16:00:00Z"'
status 0 plan due
[ "$(grep -c ' end: good' "$work/log/data.log")" = 2 ] || die "$(cat "$work/log/data.log")"
status 0 plan due
says "Nothing is due"
status 0 plan list
says "^data .* good  *[0-9]"
# A plan that fails does not keep the others from running.
configure 'schedule = "*-01-01 00:00"' '[plan.broken]' "sources = [\"$work/data\"]" 'schedule = "*-01-01"' 'before = [["false"]]' "log = \"$work/log/broken.log\"" '[plan.zz]' "log = \"$work/log/zz.log\"" "sources = [\"$work/data\"]" 'schedule = "daily"'
status 1 plan due
says "plan broken: FAILED"
says "plan zz: snapshot"

# A key that only adds cannot apply keep rules: status says so, though the runs are good.
configure 'keep = { last = 3 }'
status 0 plan run data --key-file "$work/writer.key"
status 0 "$coppice" status
says "^data: its keep rules are not applied"
status 0 plan run data
status 0 "$coppice" status
! grep -q "keep rules" "$work/out" || die "keep rules that were applied are told as if not"
