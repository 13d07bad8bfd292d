# From the first `coppice init` to the first run by timer. It is Tuesday 2031-05-06, 02:00 UTC, in Shanghai 10:00.
. /usr/local/lib/guest/lib.sh
step "the host is up: $(systemctl is-system-running --wait || :)"
for _ in 1 2 3 4 5; do ! systemctl start mnt-disk.mount 2> /dev/null || break; done   # a slow guest may have given it up
(umask 077; echo "a passphrase of some length" > /root/passphrase)
status 0 coppice init --passphrase-file /root/passphrase --recovery-file /root/sheet
status 0 coppice plan test
status 0 coppice plan install
step "installed"
[ "$(next data)" = "Wed 2031-05-07 00:00:00 UTC" ] || die "plan data would run $(next data)"
systemctl list-timers --all > "$work/out"
says "^Wed 2031-05-07 00:00:00 UTC .* coppice-plan-data.timer *coppice-plan-data.service"
status 0 coppice plan list
says "^data .* 2031-05-07 08:00 CST "
[ "$(systemctl is-active coppice-plan-data.service || :)" = inactive ] || die "it runs at once, and nothing was missed"

# By hand, in its sandbox.
status 0 systemctl start coppice-plan-data.service
step "plan data ran: $(tail -n 1 /var/log/coppice/data.log)"
tail -n 1 /var/log/coppice/data.log > "$work/out"
says " end: good: snapshot "
status 0 journalctl --no-pager -o cat -u coppice-plan-data.service
says "^plan data: snapshot "
[ "$(ls /var/lib/coppice/plans/data/reports/*.json | wc -l)" = 1 ] || die "no report"
[ "$(stat -c %a /var/lib/coppice /var/log/coppice /var/log/coppice/data.log | xargs)" = "700 750 600" ] || die "others may look at state or log"
status 0 coppice status data --max-age 26h
status 0 coppice restore latest --to /var/back
diff -r --no-dereference /data /var/back/data || die "what came back differs"

# What systemd itself thinks.
for plan in data whole hooked; do
  status 0 systemd-analyze verify --man=no /etc/systemd/system/coppice-plan-$plan.{service,timer}
  [ ! -s "$work/out" ] || { cat "$work/out"; die "systemd-analyze verify"; }
  systemd-analyze security --no-pager coppice-plan-$plan.service | tail -n 1
done
status 0 systemd-analyze security --no-pager --threshold=15 coppice-plan-data.service
status 0 systemd-analyze security --no-pager --threshold=22 coppice-plan-whole.service

# The same sandbox with another program in it: what is not needed is forbidden.
mkdir -p /run/systemd/system/coppice-plan-data.service.d
printf '[Service]\nExecStart=\nExecStart=/bin/bash /usr/local/lib/guest/probe.sh\n' > /run/systemd/system/coppice-plan-data.service.d/probe.conf
systemctl daemon-reload
systemctl start coppice-plan-data.service || { journalctl --no-pager -o cat -u coppice-plan-data.service | tail -n 60; die "the sandbox is not tight"; }
rm -r /run/systemd/system/coppice-plan-data.service.d
systemctl daemon-reload
step "the sandbox is tight"

# Everything: what the service takes is what a run without a sandbox takes.
status 0 coppice plan run whole
step "plan whole by hand: $(tail -n 1 /var/log/coppice/whole.log)"
systemctl start coppice-plan-whole.service || die "plan whole"
step "plan whole in its service: $(tail -n 1 /var/log/coppice/whole.log)"
tail -n 1 /var/log/coppice/whole.log > "$work/out"
says " end: good: "
mapfile -t snapshots < <(coppice list --tag plan:whole --json | sed -n 's/.*"id":"\([^"]*\)".*/\1/p')
[ "${#snapshots[@]}" = 2 ] || die "plan whole has ${#snapshots[@]} snapshots"
coppice diff "${snapshots[@]}" > "$work/out" || :
changed=$(grep -v '^U  ' "$work/out" | tail -n +2 | grep -vE '^.  /var/(log|lib/systemd)/' || :)
[ -z "$changed" ] || { cat "$work/out"; die "the service took something else than a run without a sandbox"; }
cat "$work/out"
for each in "${snapshots[@]}"; do coppice ls -R --json "$each" | grep '"mount_point":true' | sed 's/.*"path":"\([^"]*\)".*/\1/' | sort > "$work/mounts-$each"; done
cmp "$work"/mounts-* || { tail -n 50 "$work"/mounts-*; die "mounts of the sandbox are taken for those of the host"; }

# Hooks do what they want: mount what is backed up, and unmount it. One that fails makes the service fail.
systemctl start coppice-plan-hooked.service || die "plan hooked"
! mountpoint -q /mnt/frozen || die "the after-hook did not unmount"
status 0 coppice restore latest:/mnt/frozen --tag plan:hooked --to /var/back-hooked
diff -r --no-dereference /data /var/back-hooked || die "what came back from a place that a hook mounted differs"
status 1 systemctl start coppice-plan-broken.service
[ "$(systemctl show -p Result --value coppice-plan-broken.service)" = exit-code ] || die "a failing hook left a service that is well"
[ -e "$work/after-ran" ] || die "the after-hook did not run"
systemctl start coppice-plan-disk.service || die "plan disk"
step "plans with hooks ran"

# The hour comes, and is not there twice.
date -s "2031-05-06 23:59:56" > /dev/null
await_runs data 2
date -s "2031-05-07 12:00:00" > /dev/null
await_runs data 2
[ "$(next data)" = "Thu 2031-05-08 00:00:00 UTC" ] || die "plan data would run $(next data)"
step "the timer fired: $(tail -n 1 /var/log/coppice/data.log)"
date -s "2031-05-08 00:30:00" > /dev/null   # the clock jumps over it
await_runs data 3
status 0 coppice status data --max-age 26h
grep ' start: ' /var/log/coppice/data.log | cut -c1-25
runs data > /root/runs-before

# The power goes while a run is on.
head -c 6000000 /dev/urandom > /srv/slow/file
systemctl start --no-block coppice-plan-slow.service
for _ in $(seq 1 120); do [ "$(runs slow 2> /dev/null)" != 1 ] || break; sleep 0.5; done
sleep 2
[ "$(systemctl is-active coppice-plan-slow.service || :)" = activating ] || die "plan slow is not running"
