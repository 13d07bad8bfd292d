# A restore onto a disk that is too small ends with the next step; what came back stays, and with more room the same command goes on.
. "$(dirname "$0")/lib.sh" "$1"
mkdir "$work/small" "$work/files"
[ "$(id -u)" = 0 ] && mount -t tmpfs -o size=2m none "$work/small" 2> /dev/null || { echo "skipped: needs root and a tmpfs"; exit 77; }
trap 'umount "$work/small"; rm -rf "$work"' EXIT
new_vault
for i in 1 2 3 4; do head -c 700000 /dev/urandom > "$work/files/$i"; done
status 0 "$coppice" backup -q "$work/files"
restore=("$coppice" restore "latest:$work/files" --to "$work/small")
status 1 "${restore[@]}"
says "the target is full: "
says "^  [0-9]* of 4 files came back so far; what is restored stays. Make room there and run the same command again: it goes on. Or restore with another --to$"
status 1 "${restore[@]}" --json
grep -q '"kind":"exhausted".*"next_step":"' "$work/out" || die "no next step in JSON: $(cat "$work/out")"
mount -o remount,size=8m "$work/small"
status 0 "${restore[@]}"
says "; [1-3] wa*e*r*s*e* right already"
same "$work/files" "$work/small"

# A disk that takes everything and keeps the half of it (a thin one in a full pool): --verify does not take its word.
umount "$work/small"
mount -t tmpfs -o size=20m none "$work/small"
truncate -s 300M "$work/small/thin"
mkdir "$work/disk"
mkfs.ext4 -q "$work/small/thin"
mount -o loop "$work/small/thin" "$work/disk" 2> /dev/null || { echo "no loop device here"; exit 0; }
trap 'umount "$work/disk"; umount "$work/small"; rm -rf "$work"' EXIT
for i in $(seq 5 20); do head -c 2000000 /dev/urandom > "$work/files/$i"; done
status 0 "$coppice" backup -q "$work/files"
status 1 "$coppice" restore "latest:$work/files" --to "$work/disk/back" --verify
says "not all that was restored has reached the disk\|the target is full"   # whichever write meets it first
