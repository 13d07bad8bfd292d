# An error that passes: what a run could not read is told, is marked in the snapshot, and is looked at again by the next run, though nothing
# about the object has changed.
. "$(dirname "$0")/lib.sh" "$1"
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"   # the leak checker does not work under strace
command -v strace > /dev/null || { echo "skipped: needs strace"; exit 77; }
strace -f -o "$work/trace" true 2> /dev/null || { echo "skipped: strace may not trace here"; exit 77; }
source="$work/source"
some_files "$source"
setfattr -n user.note -v 'of a file' "$source/a/file-7" 2> /dev/null || { echo "skipped: no attributes here"; exit 77; }
setfattr -n user.note -v 'of a folder' "$source/c"
new_vault
sleep 3   # what was written a moment ago is read again anyway
failing() {  # failing CALLS PATH...: a backup in which the calls on these paths fail
  local calls=$1 paths=()
  shift
  for path; do paths+=(-P "$source/$path"); done
  status 3 strace -f -o "$work/trace" "${paths[@]}" -e "trace=$calls" -e "inject=$calls:error=EIO" "$coppice" backup "$source"
  grep -q INJECTED "$work/trace" || die "nothing failed"
}
failing listxattr,llistxattr,flistxattr a/file-7 c
says "file-7: extended attributes could not be listed"
says "c: extended attributes could not be listed"
status 0 "$coppice" ls "latest:$source/a/file-7" --json
says '"incomplete":true'
status 3 "$coppice" restore "latest:$source" --to "$work/lacking"
says "a/file-7: some of its attributes could not be read when it was backed up"
says "c: some of its attributes could not be read when it was backed up"
status 3 "$coppice" tar "latest:$source"
says "some of its attributes"

status 0 "$coppice" backup "$source"
says "1 changed"
status 0 "$coppice" restore "latest:$source" --to "$work/whole"
"$tools/treecmp" "$source" "$work/whole" > "$work/differences" 2>&1 || { cat "$work/differences" >&2; die "it is not what it was"; }
status 0 "$coppice" backup "$source"
says "nothing changed"
