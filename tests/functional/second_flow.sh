# A host's /data is lost and comes back: a plan's run makes a timestamped snapshot and logs it; a new disk is formatted and mounted; the
# snapshot is found by the plan's tag and by the time in the log; it is restored onto the disk, and a comparer that shares no code with the
# program finds no difference. On ext4, then on xfs and btrfs.
. "$(dirname "$0")/lib.sh" "$1"
[ "$(id -u)" = 0 ] || { echo "skipped: needs root"; exit 77; }
mounts=()
trap 'for m in "${mounts[@]}"; do umount "$m"; done; rm -rf "$work"' EXIT
disk() {  # disk TYPE MIB: a new file system of that type, mounted in $work/TYPE
  truncate -s "$2M" "$work/$1.img"
  "mkfs.$1" -q "$work/$1.img" > "$work/mkfs" 2>&1 || { cat "$work/mkfs" >&2; return 1; }
  mkdir "$work/$1"
  mount -o loop "$work/$1.img" "$work/$1" 2> "$work/mkfs" || return 1
  mounts+=("$work/$1")
}
# The host: /data is a file system of its own, with what data has.
disk ext4 96 || { echo "skipped: no ext4 can be mounted here"; exit 77; }
host="$work/host"
mkdir "$host"
umount "$work/ext4" && mount -o loop "$work/ext4.img" "$host" && mv "$work/ext4.img" "$work/host.img" && rmdir "$work/ext4"
mounts=("$host")
data="$host/data"
mkdir "$data"
some_files "$data"
echo "name of no encoding" > "$data/$(printf 'caf\351 \001')"
truncate -s 5M "$data/holes"
printf end | dd of="$data/holes" bs=1 seek=3000000 conv=notrunc status=none
install -m 4750 -o 1234 -g 4321 /bin/true "$data/suid"
setcap cap_net_raw+ep "$data/a/b/hello"
setfacl -m u:1234:rw -d -m g:4321:r "$data/a"
setfattr -n user.note -v "kept" "$data/c"
setfattr -n trusted.note -v "kept too" "$data/c/large"
mkfifo "$data/fifo"
mknod "$data/device" c 1 3
ln -s /nowhere "$data/dangling"
cp "$data/a/file-7" "$work/file-7"
touch -d '1975-03-04 05:06:07.123456789' "$data/a/file-1" "$data/a"

new_vault
log="$work/log/coppice/data.log"
cat > "$COPPICE_CONFIG_DIR/coppice.toml" <<TOML
vault = "$COPPICE_VAULT"
[plan.data]
sources = ["$data"]
schedule = "08:00"
timezone = "Asia/Shanghai"
log = "$log"
keep = { last = 3, daily = 7 }
TOML
unset COPPICE_VAULT   # the configuration names it
status 0 "$coppice" plan run data
sleep 1   # the next one has a second of its own
echo "written after the first run" > "$data/later"
status 0 "$coppice" plan run data
[ "$(grep -cE '^[0-9-]{10}T[0-9:]{8}\+08:00 data\[[0-9]+\] end: good: snapshot [0-9a-f]{12}: ' "$log")" = 2 ] || die "the log: $(cat "$log")"

# What a person does: look into the log for the run, and into the list.
began=$(sed -n 's/^\([^ ]*\) .* start: .*/\1/p' "$log" | head -n 1)
logged=$(sed -n 's/.* end: good: snapshot \([0-9a-f]*\):.*/\1/p' "$log" | head -n 1)
status 0 "$coppice" list --tag plan:data
says "^$logged  20"
[ "$(grep -c '^[0-9a-f]\{12\}  20' "$work/out")" = 2 ] || die "$(cat "$work/out")"
now=$(date +%s) taken=$(date -d "$(sed -n "s/^$logged  \(20[0-9-]* [0-9:]*\).*/\1/p" "$work/out")" +%s)
[ $((now - taken)) -lt 600 ] && [ "$taken" -le "$now" ] || die "the snapshot's time is $taken, and now is $now"

# back TYPE MIB: onto a new disk of that type, the last one exactly, the first by its time.
back() {
  disk "$1" "$2" || { echo "skipped: no $1 can be mounted here"; return 0; }
  status 0 "$coppice" restore "latest:$data" --to "$work/$1/data" --verify
  "$tools/treecmp" "$data" "$work/$1/data" > "$work/differences" 2>&1 || { cat "$work/differences" >&2; die "on $1 it is not what it was"; }
  grep -q ' 0 differences' "$work/differences" || die "$(cat "$work/differences")"
  status 0 "$coppice" restore "@$began:$data" --tag plan:data --to "$work/$1/first"
  [ ! -e "$work/$1/first/later" ] || die "@$began is not the first snapshot"
  status 0 "$coppice" restore "$logged:$data/a/file-7" --to "$work/$1/one-file"
  cmp -s "$work/file-7" "$work/$1/one-file/file-7" || die "one file did not come back"
  echo "$1: $(tail -n 1 "$work/differences")"
}
back ext4 96
back xfs 320
back btrfs 128

# Onto the disk itself, which then stands for /data; lost+found is no content. Once more after a run that did not get to its end.
chown 1234:4321 "$data"
chmod 2751 "$data"
setfacl -d -m u:1234:rx "$data"
status 0 "$coppice" plan run data
top() { stat -c '%a %u %g %y' "$1"; getfacl -cpn "$1"; }
umount "$work/ext4"
mkfs.ext4 -q -F "$work/ext4.img"
mount -o loop "$work/ext4.img" "$work/ext4"
[ -d "$work/ext4/lost+found" ] || die "mkfs.ext4 makes no lost+found any more"
status 0 "$coppice" restore "latest:$data" --to "$work/ext4" --verify
[ "$(top "$data")" = "$(top "$work/ext4")" ] || die "the disk's own attributes: $(top "$work/ext4"), not $(top "$data")"
chown 0:0 "$work/ext4"
setfacl -b "$work/ext4"
chmod 01700 "$work/ext4"   # as a killed run leaves it (five digits: chmod takes the set-group-ID bit off, too)
rm "$work/ext4/later"
status 0 "$coppice" restore "latest:$data" --to "$work/ext4"
[ "$(top "$data")" = "$(top "$work/ext4")" ] || die "after a killed run: $(top "$work/ext4"), not $(top "$data")"
# A folder in which somebody has something of their own keeps its attributes.
mkdir -m 0711 "$work/shared"
touch "$work/shared/theirs"
status 0 "$coppice" restore "latest:$data" --to "$work/shared"
[ "$(stat -c %a "$work/shared")" = 711 ] || die "a folder with other things in it became $(stat -c %a "$work/shared")"
