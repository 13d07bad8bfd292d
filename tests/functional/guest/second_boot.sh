# Days later, Monday 2031-05-12, 00:20 UTC: the second disk is gone, what was missed meanwhile is made up for, and the package goes.
. /usr/local/lib/guest/lib.sh
before=$(cat /root/runs-before)
step "the host is up: $(systemctl is-system-running --wait || :)"
await_runs data $((before + 1))
step "plan data was made up for: $(tail -n 1 /var/log/coppice/data.log)"
tail -n 1 /var/log/coppice/data.log > "$work/out"
says " end: good: snapshot "
[ "$(next data)" = "Tue 2031-05-13 00:00:00 UTC" ] || die "plan data would run $(next data)"

# The run that the last shutdown stopped was stopped in order; the disk that is not there is no empty directory.
grep -q ' end: interrupted: ' /var/log/coppice/slow.log || { cat /var/log/coppice/slow.log; die "a shutdown killed a run"; }
await_runs disk 2
status 1 coppice status disk
says "/mnt/disk is not mounted"
[ "$(coppice list --tag plan:disk --json | wc -l)" = 1 ] || die "an empty directory was backed up for a disk that is not there"
step "the disk is missed: $(tail -n 1 /var/log/coppice/disk.log)"

status 0 coppice plan uninstall data
[ "$(systemctl show -p LoadState --value coppice-plan-data.timer)" = not-found ] || die "the timer is there still"
systemctl list-timers --all > "$work/out"
! grep -q coppice-plan-data "$work/out" || { cat "$work/out"; die "the timer is listed still"; }
says coppice-plan-whole.timer
[ ! -e /var/lib/systemd/timers/stamp-coppice-plan-data.timer ] || die "when plan data ran last is remembered: installed anew, it would run at once"
step "one plan is uninstalled"

# The package goes, and takes the units with it; what a restore needs stays.
apt-get purge -y -qq coppice > "$work/out" 2>&1 || { cat "$work/out"; die "it does not go"; }
left=$(find /etc/systemd /run/systemd/system /lib/systemd /var/lib/systemd/timers /etc/cron.d -name '*coppice*')
[ -z "$left" ] || die "left behind: $left"
systemctl list-units --all --no-legend 'coppice-*' > "$work/out"
[ ! -s "$work/out" ] || { cat "$work/out"; die "systemd knows units still"; }
[ ! -e /usr/bin/coppice ] && [ ! -e /etc/coppice/coppice.toml ] || die "program or configuration is there still"
[ -e /srv/vault/vault.json ] && [ -n "$(ls /etc/coppice/keys)" ] && [ -s /var/log/coppice/data.log ] || die "vault, keys or log are gone"
dpkg -i /root/coppice.deb > "$work/out" 2>&1 || { cat "$work/out"; die "it does not come back"; }
status 0 coppice restore --vault /srv/vault latest:/data --tag plan:data --to /var/back-2
diff -r --no-dereference /data /var/back-2 || die "what came back differs"
step "the package is gone and back, and the vault opens"
