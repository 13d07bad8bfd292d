# Sources on file systems that are no disks: FUSE and overlayfs. They come back as they look; a second backup reads nothing again,
# but of images whose times say nothing.
. "$(dirname "$0")/lib.sh" "$1"
[ "$(id -u)" = 0 ] || { echo "skipped: needs root"; exit 77; }
trap 'for m in "$work/merged" "$work/fuse" "$work/squash"; do if mountpoint -q "$m"; then umount "$m"; fi; done; rm -rf "$work"' EXIT
new_vault
there_and_back() {  # there_and_back NAME: backs $work/NAME up twice, and restores
  sleep 3   # what was written a moment ago is read again
  status 0 "$coppice" backup --no-exclude-nodump "$work/$1"
  status 0 "$coppice" backup --no-exclude-nodump "$work/$1"
  says "nothing changed"
  status "${2:-0}" "$coppice" restore "latest:$work/$1" --to "$work/back-$1" --verify
}
tried=no
mkdir "$work/fuse" "$work/below" "$work/merged" "$work/lower" "$work/upper" "$work/scratch"

if mount -t overlay -o "lowerdir=$work/lower,upperdir=$work/upper,workdir=$work/scratch" none "$work/merged" 2> /dev/null; then
  tried=yes
  umount "$work/merged"
  "$tools/treemake" 21 "$work/lower"
  mount -t overlay -o "lowerdir=$work/lower,upperdir=$work/upper,workdir=$work/scratch" none "$work/merged"
  # Changed, removed (a whiteout above), replaced (opaque), new, copied up by a change of mode only, linked.
  echo more >> "$work/merged/text-4096"
  rm "$work/merged/text-4095"
  rm -rf "$work/merged/dir-3"*
  mkdir "$work/merged/dir-3"
  echo new > "$work/merged/dir-3/new"
  chmod 0611 "$work/merged/text-65536"
  ln "$work/merged/dir-3/new" "$work/merged/second"
  there_and_back merged
  "$tools/treecmp" --no-top "$work/merged" "$work/back-merged" > "$work/differences" 2> "$work/count" || die "from overlayfs: $(head "$work/differences")"
fi

# An image that another takes the place of, with the same times, sizes and inodes.
if command -v mksquashfs > /dev/null; then
  mkdir "$work/image" "$work/squash"
  for content in one two; do
    echo "$content" > "$work/image/file"
    ln -sfn "$content" "$work/image/link"
    mksquashfs "$work/image" "$work/$content.img" -all-time 1700000000 -mkfs-time 1700000000 -quiet -no-progress > /dev/null 2>&1 || die "mksquashfs"
    mount -o loop,ro "$work/$content.img" "$work/squash" 2> /dev/null || break
    status 0 "$coppice" backup -q "$work/squash"
    umount "$work/squash"
    tried=yes
    [ "$("$coppice" cat "latest:$work/squash/file")" = "$content" ] || die "what another image holds was not seen"
  done
fi

if command -v bindfs > /dev/null && bindfs "$work/below" "$work/fuse" 2> /dev/null; then
  tried=yes
  some_files "$work/below"
  truncate -s 40M "$work/below/sparse"
  printf 'in the middle' | dd of="$work/below/sparse" bs=1 seek=20000000 conv=notrunc status=none
  mkfifo "$work/below/fifo"
  touch "$work/below/$(printf 'odd\377\nname')"
  chmod 06751 "$work/below/c/large"
  chown 1234:4321 "$work/below/a/file-7"
  setfattr -n user.note -v 'a value' "$work/below/a/file-8" 2> /dev/null || true
  touch -d '1969-12-31 23:59:58.123456789 UTC' "$work/below/a/file-9"
  touch -d '2100-01-01 00:00:00.000000001 UTC' "$work/below/a/b"
  there_and_back fuse
  # FUSE servers know no O_NOATIME.
  "$tools/treecmp" --no-top --no-atime "$work/fuse" "$work/back-fuse" > "$work/differences" 2> "$work/count" || die "from FUSE: $(head "$work/differences")"
fi
[ $tried = yes ] || { echo "skipped: neither overlayfs nor FUSE here"; exit 77; }
