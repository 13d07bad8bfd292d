# From ext4, XFS and btrfs onto a fresh one of each: what is restored differs from what was backed up in nothing but what docs/fidelity.md
# says of the target, line by line, and the restore tells whenever something does.
. "$(dirname "$0")/lib.sh" "$1"
[ "$(id -u)" = 0 ] || { echo "skipped: needs root"; exit 77; }
export PATH=$PATH:/usr/sbin:/sbin
kinds="ext4 xfs btrfs"
trap 'for m in "$work"/m-*; do mountpoint -q "$m" && umount "$m"; done; rm -rf "$work"' EXIT
fresh() {  # fresh NAME TYPE: an empty file system in $work/m-NAME
  local m="$work/m-$1"
  if mountpoint -q "$m"; then umount "$m"; fi
  mkdir -p "$m"
  rm -f "$work/$1.img"
  truncate -s 400M "$work/$1.img"
  case $2 in ext4) set -- "$1" ext4 -F -b 4096 ;; *) set -- "$1" "$2" -f ;; esac
  "mkfs.$2" -q "${@:3}" "$work/$1.img" > /dev/null 2>&1 && mount -o loop "$work/$1.img" "$m" 2> /dev/null
}
for kind in $kinds; do
  fresh probe "$kind" || { echo "skipped: no $kind to be mounted here"; exit 77; }
done
umount "$work/m-probe"
new_vault
table="$(dirname "$0")/../../docs/fidelity.md"

for from in $kinds; do
  fresh source "$from"
  "$tools/treemake" --locked 11 "$work/m-source/tree"
  status 0 "$coppice" backup -q --no-exclude-nodump --tag "$from" "$work/m-source/tree"
  for to in $kinds; do
    fresh target "$to"
    wanted=0
    # | source | target | what is told of the difference | why |
    sed -n "s/^| $from | $to | \`\([^\`]*\)\` |.*/\1/p" "$table" > "$work/known"
    [ ! -s "$work/known" ] || wanted=3
    ! grep -q '^[^:]*: only in A$' "$work/known" || wanted=1
    got=0
    "$coppice" restore "latest:$work/m-source/tree" --to "$work/m-target/back" --verify > "$work/out" 2> "$work/err" || got=$?
    "$tools/treecmp" "$work/m-source/tree" "$work/m-target/back" > "$work/differences" 2> "$work/count" || true
    [ "$(awk '{print $1}' "$work/count")" -gt 250 ] || die "only $(cat "$work/count")"
    diff <(sort "$work/known") <(sort "$work/differences") > "$work/delta" ||
      die "from $from to $to it is not what docs/fidelity.md says (< known, > seen): $(cat "$work/delta" "$work/err")"
    [ "$got" = $wanted ] || { cat "$work/out" "$work/err"; die "from $from to $to the restore ended with $got, wanted $wanted"; }
    "$tools/treemake" --unlock "$work/m-target/back"
  done
  "$tools/treemake" --unlock "$work/m-source/tree"
done
