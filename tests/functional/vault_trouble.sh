# The disk of the vault is full, is read-only, is not mounted, goes away in the middle of a run, or cannot read one object any more: what runs
# then ends with a status and a reason, nothing that was committed suffers, and when the disk is well again the next backup succeeds.
# Written to memory, where there is room: file systems are made and flushed by the hundred.
[ ! -w /dev/shm ] || [ "$(df --output=avail -k /dev/shm | tail -n 1)" -lt 1000000 ] || export TMPDIR=/dev/shm
. "$(dirname "$0")/lib.sh" "$1"
disk="$tools/recorded_disk"
[ "$(id -u)" = 0 ] && [ -x "$disk" ] && [ -e /dev/fuse ] && command -v fusermount3 mkfs.ext4 losetup filefrag > /dev/null || { echo "skipped: needs root, FUSE and ext4"; exit 77; }
loop= server=
serve() {
  "$disk" serve "$work/disk" "$work/image" /dev/null &
  server=$!
  for _ in $(seq 1 100); do [ -e "$work/disk/disk" ] && break; sleep 0.05; done
  loop=$(losetup -f --show "$work/disk/disk")
}
release() {
  umount "$work/m" 2> /dev/null || umount -l "$work/m" 2> /dev/null || true
  [ -z "$loop" ] || losetup -d "$loop" || true
  loop=
  fusermount3 -u "$work/disk" 2> /dev/null || umount -l "$work/disk" 2> /dev/null || true
  [ -z "$server" ] || kill "$server" 2> /dev/null || true
  server=
}
trap 'release; rm -rf "$work"' EXIT
mkdir "$work/disk" "$work/m"
truncate -s 160M "$work/image"
mkfs.ext4 -q -b 4096 "$work/image"
serve
mount "$loop" "$work/m" 2> /dev/null || { echo "skipped: no file system on a loop device on FUSE here"; exit 77; }
again() { umount "$work/m" && mount "$loop" "$work/m"; }   # with nothing in the page cache
export COPPICE_VAULT="$work/m/vault"
backup=("$coppice" backup -q --memory-max 128M)
restores() {
  rm -rf "$work/back"
  status 0 "$coppice" restore -q "latest:$work/files" --to "$work/back"
  same "$1" "$work/back"
}
new_vault
some_files "$work/files"
status 0 "${backup[@]}" "$work/files"
cp -a "$work/files" "$work/first"

# Full: in the middle of a run, and before one.
head -c 20000000 /dev/urandom > "$work/files/c/more"
"${backup[@]}" --limit-rate 8M "$work/files" > "$work/out" 2> "$work/err" &
slow=$!
sleep 0.5
fallocate -l $(($(stat -f -c '%a * %S' "$work/m") - 1000000)) "$work/m/filler"
ended=0
wait "$slow" || ended=$?
[ "$ended" = 1 ] || { cat "$work/err" >&2; die "its disk became full, and backup ended with $ended"; }
says "No space left"
says "make room there, then run the same command again: "
status 0 "$coppice" check --read-data
restores "$work/first"
dd if=/dev/zero of="$work/m/filler2" bs=4096 2> /dev/null || true
echo changed > "$work/files/a/file-1"
status 1 "${backup[@]}" "$work/files"
says "nothing was started"
status 0 "$coppice" list
status 0 "$coppice" check --read-data
restores "$work/first"
rm "$work/m/filler" "$work/m/filler2"
status 0 "${backup[@]}" "$work/files"
status 0 "$coppice" check --read-data
restores "$work/files"

# Read-only.
mount -o remount,ro "$work/m"
status 1 "${backup[@]}" "$work/files"
says "vault is on a file system that is mounted read-only"
says "remount,rw"
! grep -q "tmp-" "$work/err" || die "the error names a temporary file"
status 1 "$coppice" forget latest --yes
says "remount,rw"
status 0 "$coppice" check --read-data
restores "$work/files"
mount -o remount,rw "$work/m"
status 0 "${backup[@]}" "$work/files"

# Not mounted: nothing is made in the directory where it should be.
umount "$work/m"
for command in "backup -q $work/files" list check "restore -q latest --to $work/nowhere"; do
  status 1 "$coppice" $command
  says "no vault at"
done
[ -z "$(ls -A "$work/m")" ] || die "something was made below the mount point"
mount "$loop" "$work/m"
status 0 "${backup[@]}" "$work/files"

# Unmounted lazily in the middle: the run that has it open goes on, and what it commits is there when the disk is mounted again.
head -c 8000000 /dev/urandom > "$work/files/c/more"
"${backup[@]}" --limit-rate 8M "$work/files" > "$work/slow" 2>&1 &
slow=$!
sleep 0.3
umount -l "$work/m"
status 1 "$coppice" list
wait "$slow" || { cat "$work/slow" >&2; die "a backup that had the vault open failed when it was unmounted"; }
for _ in $(seq 1 50); do mount "$loop" "$work/m" 2> /dev/null && break; sleep 0.1; done
status 0 "$coppice" check --read-data
restores "$work/files"

# One object cannot be read: it is named, and so is what it costs; everything else is there.
unreadable() {   # unreadable OBJECT: by way of the disk's sectors
  sync -f "$work/m"
  filefrag -v "$COPPICE_VAULT/$1" | sed -n 's/^ *[0-9]*: *[0-9]*\.\. *[0-9]*: *\([0-9]*\)\.\. *[0-9]*: *\([0-9]*\):.*/\1 \2/p' |
    while read -r block blocks; do echo "bad $((block * 4096)) $((blocks * 4096))" > "$work/disk/control"; done
  again
}
readable() { echo good > "$work/disk/control"; again; }
object() { (cd "$COPPICE_VAULT" && find "$1" -type f | sort | head -n 1); }
pack=$(object packs)
unreadable "$pack"
status 1 "$coppice" check --read-data
says "$pack"
says "Input/output error"
status 1 "$coppice" restore -q "latest:$work/files" --to "$work/partly"
says "Input/output error"
(cd "$work/partly" && find . -type f -print0 | while IFS= read -r -d '' file; do cmp -s "$file" "$work/files/$file" || grep -qF "${file#./}" "$work/out" "$work/err" || die "$file is wrong, and nothing was said"; done)
[ "$(find "$work/partly" -type f | wc -l)" -gt 0 ] || die "one pack that cannot be read cost everything"
status 3 "${backup[@]}" "$work/files"   # check noted the pack, it still does not read: what it held is stored again
says "$pack"
readable
status 0 "$coppice" check --read-data
for kind in trees index lists snapshots generations/0/slots; do
  one=$(object "$kind")
  unreadable "$one"
  status 1 "$coppice" check --read-data
  says "$one"
  ended=0
  timeout 60 "${backup[@]}" "$work/files" > "$work/out" 2> "$work/err" || ended=$?
  [ "$ended" -le 3 ] || { cat "$work/err" >&2; die "with $one unreadable, backup ended with $ended"; }
  [ "$ended" = 0 ] || says "$one"
  readable
  status 0 "$coppice" check --read-data
  status 0 "${backup[@]}" "$work/files"
done
restores "$work/files"

# The disk goes for good in the middle of a run, which must end; what was committed is on it.
head -c 8000000 /dev/urandom > "$work/files/c/last"
timeout 60 "${backup[@]}" --limit-rate 4M "$work/files" > "$work/out" 2> "$work/err" &
slow=$!
sleep 0.5
kill -9 "$server"
ended=0
wait "$slow" || ended=$?
[ "$ended" = 1 ] || { cat "$work/err" >&2; die "its disk went away, and backup ended with $ended"; }
release
mount -o loop "$work/image" "$work/m"
status 0 "$coppice" check --read-data
rm "$work/files/c/last"
restores "$work/files"
status 0 "${backup[@]}" "$work/files"
umount "$work/m"
