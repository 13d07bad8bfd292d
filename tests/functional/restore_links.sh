# Names of one file where they cannot be linked, and immutable things where a restore goes on that was stopped.
. "$(dirname "$0")/lib.sh" "$1"
[ "$(id -u)" = 0 ] && mkdir "$work/target" && mount -t tmpfs -o size=4m none "$work/target" 2> /dev/null || { echo "skipped: needs root and a tmpfs"; exit 77; }
trap 'for m in "$work/disk/b" "$work/target/b" "$work/target" "$work/disk"; do if mountpoint -q "$m"; then chattr -R -f -i "$m" 2> /dev/null || true; umount "$m"; fi; done; rm -rf "$work"' EXIT
new_vault
mkdir -p "$work/files/a" "$work/files/b"
echo content > "$work/files/a/file"
ln "$work/files/a/file" "$work/files/b/second"
ln -s elsewhere "$work/files/a/link"
ln -P "$work/files/a/link" "$work/files/b/link"
status 0 "$coppice" backup -q "$work/files"

# Over two file systems: a file of its own, told.
mkdir "$work/target/b"
mount -t tmpfs -o size=1m none "$work/target/b"
for again in first second; do
  status 3 "$coppice" restore "latest:$work/files" --to "$work/target"
  says "b/second: cannot be linked to .*/a/file here (Invalid cross-device link): it becomes a file of its own"
  same "$work/files" "$work/target"
  [ "$again" = first ] || says "2 were right already"
done

truncate -s 24M "$work/ext4"
mkfs.ext4 -q "$work/ext4"
mkdir "$work/disk"
mount -o loop "$work/ext4" "$work/disk" 2> /dev/null || { echo "no loop device here"; exit 0; }

# One that was stopped by a full disk goes on, though something in it is immutable, a file of two names among it.
rm -r "$work/files"
mkdir -p "$work/disk/files/im" "$work/disk/back"
echo file > "$work/disk/files/file"; echo x > "$work/disk/files/im/x"
ln "$work/disk/files/file" "$work/disk/files/im/second"
head -c 8000000 /dev/urandom > "$work/disk/files/zz"
chattr +i "$work/disk/files/file" "$work/disk/files/im"
status 0 "$coppice" backup -q "$work/disk/files"
chattr -i "$work/disk/files/file" "$work/disk/files/im"
cp -a "$work/disk/files" "$work/copy"
rm -r "$work/disk/files"
fallocate -l "$(($(df -B1 --output=avail "$work/disk" | tail -n 1) - 3000000))" "$work/disk/fill"
status 1 "$coppice" restore "latest:$work/disk/files" --to "$work/disk/back"
says "the target is full"
[ -z "$(lsattr -R "$work/disk/back" | grep -e '^....i')" ] || die "a run that was stopped left something immutable: $(lsattr -R "$work/disk/back")"
rm "$work/disk/fill"
status 0 "$coppice" restore "latest:$work/disk/files" --to "$work/disk/back"
same "$work/copy" "$work/disk/back"
[ "$(lsattr -R "$work/disk/back" | grep -c -e '^....i')" = 3 ] || die "$(lsattr -R "$work/disk/back")"

# A further name of what is immutable already: told, and made when asked for. A dry run says the same.
chattr -i "$work/disk/back/im" "$work/disk/back/file"
rm "$work/disk/back/im/second"
chattr +i "$work/disk/back/file"
status 1 "$coppice" restore "latest:$work/disk/files" --to "$work/disk/back"
says "im/second: the file that it is a hard link to is immutable"
status 0 "$coppice" restore "latest:$work/disk/files" --to "$work/disk/back" --replace-immutable
same "$work/copy" "$work/disk/back"
[ "$(lsattr -R "$work/disk/back" | grep -c -e '^....i')" = 3 ] || die "$(lsattr -R "$work/disk/back")"
chattr -i "$work/disk/back/im"
rm "$work/disk/back/im/x"
chmod 700 "$work/disk/back/im"
chattr +i "$work/disk/back/im"
for dry in --dry-run ""; do
  status 1 "$coppice" restore "latest:$work/disk/files" --to "$work/disk/back" $dry
  says "im/x: its directory is immutable"
  says "im: it is immutable"
done
chattr -R -i "$work/disk/back"
rm "$work/disk/back/zz"
mkdir -p "$work/disk/back/zz/full"
for dry in --dry-run ""; do
  status 1 "$coppice" restore "latest:$work/disk/files" --to "$work/disk/back" $dry
  says "zz: a directory that is not empty is in the way"
done
chattr -R -i "$work/disk/back"
mount -o remount,ro "$work/disk"
status 1 "$coppice" restore "latest:$work/disk/files" --to "$work/disk/back" --dry-run
says "nothing can be restored there: Read-only file system"
umount "$work/disk"

# XFS: a directory that hands its project down takes no link, and no other file by another name, from outside of the project.
command -v mkfs.xfs > /dev/null && command -v xfs_io > /dev/null || exit 0
truncate -s 320M "$work/xfs"
mkfs.xfs -q "$work/xfs"
mount -o loop "$work/xfs" "$work/disk" 2> /dev/null || exit 0
mkdir -p "$work/disk/project" "$work/files"
xfs_io -c 'chproj 66' -c 'chattr +P' "$work/disk/project"
echo content > "$work/files/a"
ln "$work/files/a" "$work/files/b"
status 0 "$coppice" backup -q "$work/files"
for again in first second; do
  status 0 "$coppice" restore "latest:$work/files" --to "$work/disk/project/new"
  same "$work/files" "$work/disk/project/new"
  [ "$work/disk/project/new/a" -ef "$work/disk/project/new/b" ] || die "a new directory took its parent's project, and no link"
done
rm -r "$work/disk/project/new"
mkdir "$work/disk/project/of others"   # so that it stays as it is
for again in first second; do
  status 3 "$coppice" restore "latest:$work/files" --to "$work/disk/project"
  says "/b: cannot be linked to .*/a here"
  cmp "$work/files/b" "$work/disk/project/b"
done
