# The power of the vault's disk goes at any moment. Backups run onto an ext4 whose disk records every write and every flush; then what such
# a disk may have kept is made again and again: all that was flushed, and of the rest everything, nothing, or some sectors in any order. Each
# time the file system mounts, check finds no damage, every snapshot that was acknowledged by then restores, and so does the next backup.
# What the host knows of the vault is elsewhere at first, later on the same disk.
# COPPICE_SEED=n gives the states of that run, COPPICE_SOAK=1 tries hundreds, COPPICE_STATES=n so many.
# Written to memory, where there is room: file systems are made and flushed by the hundred.
[ ! -w /dev/shm ] || [ "$(df --output=avail -k /dev/shm | tail -n 1)" -lt 1000000 ] || export TMPDIR=/dev/shm
. "$(dirname "$0")/lib.sh" "$1"
disk="$tools/recorded_disk"
[ "$(id -u)" = 0 ] && [ -x "$disk" ] && [ -e /dev/fuse ] && command -v fusermount3 mkfs.ext4 losetup > /dev/null || { echo "skipped: needs root, FUSE and ext4"; exit 77; }
states=30
[ -z "${COPPICE_SOAK:-}" ] || states=600
states=${COPPICE_STATES:-$states}
seed=${COPPICE_SEED:-$RANDOM}
RANDOM=$seed
echo "COPPICE_SEED=$seed"
loop=
release() {
  umount "$work/m" 2> /dev/null || umount -l "$work/m" 2> /dev/null || true
  [ -z "$loop" ] || losetup -d "$loop" || true
  loop=
  fusermount3 -u "$work/disk" 2> /dev/null || umount -l "$work/disk" 2> /dev/null || true
}
trap 'release; rm -rf "$work"' EXIT

mkdir "$work/disk" "$work/m"
truncate -s 128M "$work/image"
mkfs.ext4 -q -b 4096 -E lazy_itable_init=0,lazy_journal_init=0 "$work/image"
cp --sparse=always "$work/image" "$work/began"
"$disk" serve "$work/disk" "$work/image" "$work/log" &
for _ in $(seq 1 100); do [ -e "$work/disk/disk" ] && break; sleep 0.05; done
loop=$(losetup -f --show "$work/disk/disk") && mount "$loop" "$work/m" || { echo "skipped: no file system on a loop device on FUSE here"; exit 77; }

export COPPICE_VAULT="$work/m/vault" COPPICE_STATE_DIR="$work/host"
backup=("$coppice" backup -q --memory-max 128M "$work/files")
new_vault
some_files "$work/files"
made=0
# Acknowledged: from here on it must be there. Its files, and what the host knew, are kept under its number.
acknowledged() {
  made=$((made + 1))
  cp -a "$work/files" "$work/files.$made"
  cp -a "$COPPICE_STATE_DIR" "$work/state.$made"
  echo "mark $made $("$coppice" list --json | tail -1 | sed -n 's/.*"id":"\([0-9a-f]*\)".*/\1/p')" > "$work/disk/control"
}
status 0 "${backup[@]}"
acknowledged
head -c 9000000 /dev/urandom > "$work/files/c/more"
echo changed > "$work/files/a/file-7"
status 0 "${backup[@]}"
acknowledged
cp -a "$work/host" "$work/m/state"
sync -f "$work/m"
echo "mark moved -" > "$work/disk/control"
export COPPICE_STATE_DIR="$work/m/state"
head -c 9000000 /dev/urandom > "$work/files/c/other"
"${backup[@]}" > /dev/null 2>&1 &
for _ in $(seq 1 200); do [ "$(find "$work/m/vault/packs" -type f -newer "$work/files/c/other" | wc -l)" = 0 ] || break; sleep 0.02; done
kill -9 $! 2> /dev/null || true
wait $! 2> /dev/null || true
[ "$("$coppice" list --json | wc -l)" = 2 ] || acknowledged   # it was quicker
rm "$work/files/c/more"
status 0 "${backup[@]}"
acknowledged
release
"$disk" list "$work/log" > "$work/records"
records=$(wc -l < "$work/records")
echo "$made snapshots, $records records, $(grep -c flush "$work/records") flushes"
mapfile -t cuts < <(sed -n 's/^\([0-9]*\) mark [0-9].*/\1/p' "$work/records")
first=$((${cuts[0]} + 1))
mapfile -t flushes < <(sed -n 's/^\([0-9]*\) flush.*/\1/p' "$work/records")

tried=0
# kept CUT SEED: what the disk may hold then.
kept() {
  local cut=$1 how=$2 at=0 id= n= theirs=0
  tried=$((tried + 1))
  where="the power went before record $cut, what was not flushed by $how (COPPICE_SEED=$seed, state $tried)"
  # A new file each time: mount would take a loop device that is still there, with what it remembers of the state before.
  cp --sparse=always "$work/began" "$work/image.$tried"
  "$disk" state "$work/log" "$work/image.$tried" "$cut" "$how"
  loop=$(losetup -f --show "$work/image.$tried")
  mount "$loop" "$work/m" || die "no mount: $where"
  local moved=0
  while read -r at _ n id; do
    [ "$at" -lt "$cut" ] || continue
    if [ "$n" = moved ]; then moved=1; else theirs=$n; fi
  done < <(grep ' mark ' "$work/records")
  export COPPICE_STATE_DIR="$work/m/state"
  if [ "$moved" = 0 ]; then   # the host itself went on, and knows what was acknowledged
    rm -rf "$work/host"
    cp -a "$work/state.$theirs" "$work/host"
    export COPPICE_STATE_DIR="$work/host"
  fi
  "$coppice" check --read-data > "$work/out" 2> "$work/err" || { cat "$work/out" "$work/err" >&2; die "check finds damage: $where"; }
  "$coppice" list --json > "$work/list" 2> "$work/err" || { cat "$work/err" >&2; die "no list: $where"; }
  while read -r at _ n id; do
    [ "$at" -lt "$cut" ] && [ "$n" != moved ] || continue
    grep -q "$id" "$work/list" || die "snapshot $n was acknowledged and is lost: $where"
    # All of them each time would take long; the newest is the one in danger.
    [ "$n" = "$theirs" ] || [ $((RANDOM % 4)) = 0 ] || continue
    rm -rf "$work/back"
    status 0 "$coppice" restore -q "$id:$work/files" --to "$work/back"
    diff -r --no-dereference "$work/files.$n" "$work/back" > /dev/null || die "snapshot $n does not restore what was backed up: $where"
  done < <(grep ' mark ' "$work/records")
  "${backup[@]}" > "$work/out" 2> "$work/err" || { cat "$work/out" "$work/err" >&2; die "the next backup fails: $where"; }
  rm -rf "$work/back"
  status 0 "$coppice" restore -q "latest:$work/files" --to "$work/back"
  same "$work/files" "$work/back"
  umount "$work/m"
  losetup -d "$loop"
  loop=
  rm "$work/image.$tried"
  [ $((tried % 50)) != 0 ] || echo "$tried of $states states"
}
for cut in "${cuts[@]}"; do kept $((cut + 1)) 1; done   # just acknowledged
while [ "$tried" -lt "$states" ]; do
  # Half of them right behind a flush or a few writes later, where something has just become or not yet become durable.
  if [ $((RANDOM % 2)) = 0 ]; then
    cut=$((first + (RANDOM * 32768 + RANDOM) % (records - first + 1)))
  else
    cut=$((${flushes[(RANDOM * 32768 + RANDOM) % ${#flushes[@]}]} + RANDOM % 6))
    [ "$cut" -ge "$first" ] && [ "$cut" -le "$records" ] || continue
  fi
  kept "$cut" $((RANDOM % 8))
done
echo "$tried states"
