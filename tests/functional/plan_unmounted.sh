# A source that was a file system of its own and is not mounted now is no empty source: its plan's run fails and says what to do.
. "$(dirname "$0")/lib.sh" "$1"
[ "$(id -u)" = 0 ] && unshare -m --propagation private mount -t tmpfs tmpfs "$work" 2> /dev/null || exit 77
if [ -z "${COPPICE_OWN_MOUNTS:-}" ]; then
  COPPICE_OWN_MOUNTS=1 unshare -m --propagation private bash "$0" "$1"
  exit
fi
new_vault
mkdir -p "$work/disk" "$work/other"
ln -s disk "$work/link"
echo here > "$work/other/file"
cat > "$COPPICE_CONFIG_DIR/coppice.toml" <<TOML
vault = "$COPPICE_VAULT"
[plan.data]
sources = ["$work/link/files", "$work/other"]
log = "$work/data.log"
keep = { last = 1 }
TOML
mount -t tmpfs tmpfs "$work/disk"
mkdir "$work/disk/files"
echo content > "$work/disk/files/file"
status 0 "$coppice" plan run data
first=$("$coppice" list --json | sed -n 's/.*"id":"\([^"]*\)".*/\1/p')

# Not mounted; nor with something in its place; and the good snapshot is not pushed out.
umount "$work/disk"
for _ in 1 2; do
  status 1 "$coppice" plan run data
  says "plan data: FAILED: no snapshot was made: $work/disk is not mounted: it was a file system of its own at the last good run"
  status 1 "$coppice" plan test data
  says "^WRONG *data: file system at $work/disk"
  status 1 "$coppice" status
  says "$work/disk is not mounted"
  mkdir -p "$work/disk/files"
done
[ "$("$coppice" list --json | sed -n 's/.*"id":"\([^"]*\)".*/\1/p')" = "$first" ] || die "a run without its source changed the snapshots"

# Mounted again, all is well. What is meant to be so is accepted once, and stays.
mount -t tmpfs tmpfs "$work/disk"
mkdir "$work/disk/files"
status 0 "$coppice" plan run data
umount "$work/disk"
status 1 "$coppice" plan run data
status 0 "$coppice" plan run --accept-unmounted data
status 0 "$coppice" plan run data
status 0 "$coppice" plan test data
