# Mount points and bind mounts: a backup crosses them or, asked to, stops there; what is seen at two places comes back at both; a restore says which mount points are plain directories now, and not where something is mounted again.
. "$(dirname "$0")/lib.sh" "$1"
tree="$work/tree"
mkdir -p "$tree/mounted" "$tree/bound" "$tree/real" "$tree/own"
mount -t tmpfs -o size=4m none "$tree/mounted" 2> /dev/null || { echo "skipped: may not mount here"; exit 77; }
trap 'for m in "$tree/own" "$tree/mounted" "$tree/bound" "$tree/bound-file" "$work/back/mounted" "$work/small"; do if mountpoint -q "$m"; then umount "$m"; fi; done; rm -rf "$work"' EXIT
new_vault
echo inside > "$tree/mounted/file"
chmod 0711 "$tree/mounted"
echo real > "$tree/real/file"
ln "$tree/real/file" "$tree/real/twin"
mkdir "$tree/zz" && ln "$tree/real/file" "$tree/zz/third"
touch "$tree/bound-file"
mount --bind "$tree/real" "$tree/bound"
echo own > "$tree/own/file"
mount --bind "$tree/own" "$tree/own"   # as sandboxes do: what is there anyway
mount --bind "$tree/real/file" "$tree/bound-file"

status 0 "$coppice" backup "$tree"
"$coppice" ls -R --json "latest:$tree" > "$work/listing"
[ "$(grep -c '"mount_point":true' "$work/listing")" = 3 ] || { cat "$work/listing"; die "the mount points are not marked"; }
status 0 "$coppice" restore "latest:$tree" --to "$work/back"
says "2 mount points in the snapshot are plain directories here:"
grep -q "$tree/bound" "$work/out" && grep -q "$tree/mounted" "$work/out" || die "the mount points are not named"
same "$tree" "$work/back"
[ "$(stat -c %a "$work/back/mounted")" = 711 ] || die "the mounted directory has mode $(stat -c %a "$work/back/mounted")"
mkdir "$work/untarred"
"$coppice" tar "latest:$tree" | tar -x -C "$work/untarred"
for back in back untarred; do
  for place in real bound; do   # the names of one file, at each place by themselves
    [ "$(stat -c %i "$work/$back/$place/file")" = "$(stat -c %i "$work/$back/$place/twin")" ] || die "the names in $back/$place are not one file"
  done
  [ "$(stat -c %h "$work/$back/real/file" "$work/$back/bound/file" "$work/$back/zz/third" | xargs)" = "3 2 3" ] || die "$back: $(cd "$work/$back" && stat -c '%n has %h names' */*)"
done
same "$tree" "$work/untarred"
# Mounted again, it is filled and not told.
rm -rf "$work/back/mounted/file"
mount -t tmpfs -o size=4m none "$work/back/mounted"
status 0 "$coppice" restore "latest:$tree" --to "$work/back"
says "1 mount point in the snapshot is a plain directory here:"
! grep -q "$tree/mounted" "$work/out" || die "a mount point that is one is told"
same "$tree" "$work/back"
umount "$work/back/mounted"
[ ! -e "$work/back/mounted/file" ] || die "the file went below the mount"
status 0 "$coppice" restore "latest:$tree" --to "$work/dry" -n
says "2 mount points"
status 0 "$coppice" restore "latest:$tree" --to "$work/back" --json
[ "$(grep -c '"type":"mount_point"' "$work/out")" = 2 ] || die "the mount points are not told in JSON"

# On one file system: what is mounted there is a mount point without content; so it is a bind mount.
status 0 "$coppice" backup --one-file-system "$tree"
says "on another file system"
status 0 "$coppice" restore "latest:$tree" --to "$work/hollow"
[ -d "$work/hollow/mounted" ] && [ ! -e "$work/hollow/mounted/file" ] && [ ! -e "$work/hollow/bound/file" ] || die "it crossed a mount point"
[ -e "$work/hollow/own/file" ] || die "a directory that is mounted on itself was left out"
same "$tree/real" "$work/hollow/real"
says "2 mount points"

# A target that is full is named by its path here, not by the snapshot's.
mkdir "$work/small"
mount -t tmpfs -o size=64k none "$work/small"
head -c 300000 /dev/urandom > "$tree/real/large"
status 0 "$coppice" backup -q "$tree/real"
status 1 "$coppice" restore "latest:$tree/real" --to "$work/small"
says "the target is full: $work/small/large"
umount "$work/small"
mount -t tmpfs -o nr_inodes=2 none "$work/small"
status 1 "$coppice" restore "latest:$tree/real" --to "$work/small"
says "the target holds as many files as its file system can (df -i): $work/small/"
umount "$work/small"

# What was mounted at the last backup and is not now is told, once.
umount "$tree/mounted"
status 3 "$coppice" backup "$tree"
says "$tree/mounted: a file system was mounted here at the last backup, and none is now"
status 0 "$coppice" backup "$tree"
