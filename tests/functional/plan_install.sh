# coppice plan install and uninstall: units that systemd takes, a line that cron can run, and nothing left behind.
. "$(dirname "$0")/lib.sh" "$1"
new_vault
mkdir "$work/data" "$work/units"
echo content > "$work/data/file"
cat > "$COPPICE_CONFIG_DIR/coppice.toml" <<TEXT
vault = "$COPPICE_VAULT"
[plan.data]
sources = ["$work/data"]
schedule = "08:00"
timezone = "Asia/Shanghai"
log = "$work/log/data.log"
[plan.web-1]
sources = ["$work/data"]
schedule = "Mon..Fri 02:30"
log = "$work/log/web.log"
before = [["true"]]
[plan.by-hand]
sources = ["$work/data"]
TEXT
plan() { "$coppice" plan "$@"; }

# A dry run shows everything and writes nothing.
status 0 plan install --dry-run --unit-dir "$work/units"
says "^OnCalendar=\*-\*-\* 08:00:00 Asia/Shanghai$"
says "^# would write: $work/units/coppice-plan-data.timer$"
[ -z "$(ls "$work/units")" ] || die "a dry run wrote $(ls "$work/units")"

# Units of all plans that have a schedule; again, and nothing changes.
echo "[Service]" > "$work/units/coppice-plan-own.service"
status 0 plan install --unit-dir "$work/units"
installed=$(cd "$work/units" && find . ! -type d | sort | tr '\n' ' ')
[ "$installed" = "./coppice-plan-data.service ./coppice-plan-data.timer ./coppice-plan-own.service ./coppice-plan-web-1.service \
./coppice-plan-web-1.timer ./timers.target.wants/coppice-plan-data.timer ./timers.target.wants/coppice-plan-web-1.timer " ] || die "$installed"
status 0 plan install --unit-dir "$work/units" data
says "unchanged: $work/units/coppice-plan-data.service"
! grep "written" "$work/out" || die "it was written again"
if systemd-analyze --version > /dev/null 2>&1; then
  status 0 systemd-analyze verify --man=no "$work/units/coppice-plan-data.service" "$work/units/coppice-plan-data.timer" \
    "$work/units/coppice-plan-web-1.service"
  [ ! -s "$work/err" ] || die "systemd-analyze verify: $(cat "$work/err")"
fi
# What the service starts is what runs here.
command=$(sed -n 's/^ExecStart=//p' "$work/units/coppice-plan-data.service")
status 0 $command
says "plan data: snapshot"

# Refusals: no schedule, no such plan, a file that is not ours.
status 1 plan install --unit-dir "$work/units" by-hand
says "plan by-hand has no schedule: $COPPICE_CONFIG_DIR/coppice.toml:12"
status 1 plan install --unit-dir "$work/units" dat
says "there is no plan 'dat'"
echo "[Service]" > "$work/units/coppice-plan-data.service"
status 1 plan install --unit-dir "$work/units" data
says "'coppice plan install' did not write it"
status 1 plan uninstall --unit-dir "$work/units" data
[ "$(cat "$work/units/coppice-plan-data.service")" = "[Service]" ] || die "somebody's own unit was touched"
rm "$work/units/coppice-plan-data.service"

# Uninstall takes what install wrote, of plans that are gone from the configuration too.
status 0 plan install --unit-dir "$work/units"
printf 'vault = "%s"\n' "$COPPICE_VAULT" > "$work/empty.toml"
status 0 plan uninstall --config "$work/empty.toml" --unit-dir "$work/units" web-1
status 1 plan uninstall --unit-dir "$work/units" web-1
says "plan web-1 is not installed"
status 0 plan uninstall --unit-dir "$work/units"
[ "$(cd "$work/units" && find . ! -type d)" = ./coppice-plan-own.service ] || die "left or lost: $(find "$work/units")"

# Cron: one line for all plans, which runs what is due, once.
root="$work/root"
status 0 plan install --root "$root" --scheduler cron
grep -q '^# plans: data web-1$' "$root/etc/cron.d/coppice" || die "$(cat "$root/etc/cron.d/coppice")"
line=$(sed -n 's,^\*/5 \* \* \* \* root ,,p' "$root/etc/cron.d/coppice")
rm -r "$COPPICE_STATE_DIR/plans"
status 0 env -i PATH=/usr/bin:/bin COPPICE_STATE_DIR="$COPPICE_STATE_DIR" COPPICE_CONFIG_DIR="$COPPICE_CONFIG_DIR" sh -c "$line"
[ "$(grep -c ' end: good' "$work/log/data.log" "$work/log/web.log" | cut -d: -f2 | tr '\n' ' ')" = "2 1 " ] || die "$(cat "$work/log/"*)"
status 0 sh -c "$line"
[ ! -s "$work/out" ] && [ ! -s "$work/err" ] || die "nothing is due, and cron would mail something"
[ "$(grep -c ' end: good' "$work/log/data.log")" = 2 ] || die "a plan ran twice"

# Cron's line is of one configuration: another one's plans do not move it, and taking one away leaves the others as they are.
cp "$COPPICE_CONFIG_DIR/coppice.toml" "$work/other.toml"
for scheduler in cron systemd; do
  status 1 plan install --root "$root" --scheduler $scheduler --config "$work/other.toml"
  says "cron.d/coppice runs plans (data, web-1) of another configuration"
done
[ ! -e "$root/etc/systemd" ] || die "something was installed: $(find "$root/etc/systemd")"
cp "$root/etc/cron.d/coppice" "$work/cron"
sed -i 's,>/dev/null,>> /var/log/x,' "$root/etc/cron.d/coppice"
status 1 plan uninstall --root "$root" data
says "cron.d/coppice was changed by hand: take data out of its lines"
cp "$work/cron" "$root/etc/cron.d/coppice"
status 0 env -u COPPICE_VAULT "$coppice" plan uninstall --root "$root" --config "$work/nowhere.toml" data
sed "s/ data web-1 / web-1 /" <<< "$line" > "$work/wanted"
sed -n 's,^\*/5 \* \* \* \* root ,,p' "$root/etc/cron.d/coppice" | cmp - "$work/wanted" || die "$(cat "$root/etc/cron.d/coppice")"
status 0 plan install --root "$root" --scheduler cron
# A plan that is gone from the configuration keeps none of the others from running.
printf 'vault = "%s"\n[plan.data]\nsources = ["%s"]\nschedule = "minutely"\nlog = "%s"\n' "$COPPICE_VAULT" "$work/data" "$work/log/due.log" > "$work/other.toml"
rm -r "$COPPICE_STATE_DIR/plans"
status 1 plan due --config "$work/other.toml" data web-1
says "there is no plan 'web-1'"
says "plan data: snapshot"

# systemd takes a plan over from cron, and cron from systemd.
status 0 plan install --root "$root" --scheduler systemd data
grep -q '^# plans: web-1$' "$root/etc/cron.d/coppice" || die "two schedulers would run plan data"
status 0 plan install --root "$root" --scheduler cron data
[ ! -e "$root/etc/systemd/system/coppice-plan-data.timer" ] || die "two schedulers would run plan data"
status 0 plan uninstall --root "$root" web-1
grep -q '^# plans: data$' "$root/etc/cron.d/coppice" || die "$(cat "$root/etc/cron.d/coppice")"
status 0 plan uninstall --root "$root" --json
grep -q '"action":"removed"' "$work/out" || die "$(cat "$work/out")"
[ -z "$(find "$root" ! -type d)" ] || die "left: $(find "$root" ! -type d)"
status 0 plan uninstall --root "$root"
says "Nothing was installed."
