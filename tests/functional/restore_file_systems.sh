# What only some file systems have: project ids on XFS, subvolumes and compression flags on btrfs.
. "$(dirname "$0")/lib.sh" "$1"
[ "$(id -u)" = 0 ] || { echo "skipped: needs root"; exit 0; }
trap 'for m in "$work/xfs" "$work/btrfs"; do mountpoint -q "$m" && umount "$m"; done; rm -rf "$work"' EXIT
made() {  # made TYPE MIB OPTIONS...: a file system of that type, mounted in $work/TYPE
  local type=$1 mib=$2
  shift 2
  command -v "mkfs.$type" > /dev/null || return 1
  mkdir "$work/$type"
  truncate -s "${mib}M" "$work/$type.img"
  "mkfs.$type" -q "$@" "$work/$type.img" > /dev/null 2>&1 && mount -o loop "$work/$type.img" "$work/$type" 2> /dev/null
}
new_vault
mkdir "$work/tree"
echo content > "$work/tree/file"
mkdir "$work/tree/directory"

if made xfs 320; then
  status 0 "$coppice" backup -q "$work/tree"
  project_of() { lsattr -dp "$1" | awk '{print $1}'; }
  # What is restored into a directory that hands down its project belongs to no project, as before; a stray one is taken off.
  mkdir "$work/xfs/back"
  chattr +P -p 77 "$work/xfs/back"
  chattr +d "$work/xfs/back"
  touch "$work/xfs/back/probe"
  [ "$(project_of "$work/xfs/back/probe")" = 77 ] || die "projects are not handed down here"
  for round in 1 2; do
    status 0 "$coppice" restore "latest:$work/tree" --to "$work/xfs/back"
    for name in file directory; do
      [ "$(project_of "$work/xfs/back/$name")" = 0 ] || die "$name is in project $(project_of "$work/xfs/back/$name") in round $round"
      [[ "$(lsattr -d "$work/xfs/back/$name")" != *d*\ * ]] || die "$name inherited a flag in round $round"
    done
    chattr -p 78 "$work/xfs/back/file"
    chattr -p 78 "$work/xfs/back/directory"
    chattr +d "$work/xfs/back/directory"
  done
else
  echo "skipped: no XFS to be mounted here"
fi

if made btrfs 128; then
  mkdir "$work/btrfs/data"
  btrfs -q subvolume create "$work/btrfs/data/subvolume"
  echo inside > "$work/btrfs/data/subvolume/file"
  chmod 0711 "$work/btrfs/data/subvolume"
  echo x > "$work/btrfs/data/uncompressed"
  chattr +m "$work/btrfs/data/uncompressed"
  status 0 "$coppice" backup -q "$work/btrfs/data"
  status 0 "$coppice" restore "latest:$work/btrfs/data" --to "$work/btrfs/back"
  same "$work/btrfs/data" "$work/btrfs/back"
  [ "$(stat -c %i "$work/btrfs/back/subvolume")" = 256 ] || die "the subvolume is a plain directory"
  [ "$(stat -c %a "$work/btrfs/back/subvolume")" = 711 ] || die "the subvolume has mode $(stat -c %a "$work/btrfs/back/subvolume")"
  [[ "$(lsattr "$work/btrfs/back/uncompressed")" == *m*\ * ]] || die "the flag against compression was lost"
  status 3 "$coppice" restore "latest:$work/btrfs/data" --to "$work/elsewhere" --exclude uncompressed
  says "subvolumes become plain directories"
  same "$work/btrfs/data/subvolume" "$work/elsewhere/subvolume"
else
  echo "skipped: no btrfs to be mounted here"
fi
