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

# What was not whole when it was backed up is told by whatever gives it back, also when it is all that is asked for.
failing getdents64 a/b
status 0 "$coppice" ls "latest:$source/a"
for command in "ls latest:$source/a/b" "ls -R latest:$source"; do
  status 3 "$coppice" $command
  says "a/b: its list could not be read when it was backed up"
done
for path in "$source/a/b" "$source"; do
  status 1 "$coppice" restore "latest:$path" --to "$work/unlisted"
  says "a/b: its list could not be read when it was backed up"
  status 1 "$coppice" restore "latest:$path" --in-place --dry-run
  status 1 "$coppice" tar "latest:$path"
done
python3 -c 'import os, sys
while True: os.utime(sys.argv[1])' "$source/c/large" &
busy=$!
for _ in $(seq 50); do
  "$coppice" backup "$source" > "$work/out" 2> "$work/err" || true
  grep -q "changed while" "$work/err" && break
done
kill $busy
wait $busy || true
says "large: changed while it was read"
status 3 "$coppice" cat "latest:$source/c/large"
says "large: it changed while it was backed up: its content may mix two states"
cmp -s "$work/out" "$source/c/large" || die "the content is not there, or not alone"
sleep 3

# An archive that did not reach the disk is none.
status 1 strace -f -o "$work/trace" -P "$work/lost.tar" -e trace=fsync -e inject=fsync:error=EIO "$coppice" tar "latest:$source/a" -o "$work/lost.tar"
says "lost.tar: fsync"
status 0 "$coppice" tar "latest:$source/a" -o /dev/null

status 0 "$coppice" backup "$source"
says "1 changed"
status 0 "$coppice" restore "latest:$source" --to "$work/whole"
"$tools/treecmp" "$source" "$work/whole" > "$work/differences" 2>&1 || { cat "$work/differences" >&2; die "it is not what it was"; }
status 0 "$coppice" backup "$source"
says "nothing changed"

# What the program itself lacks is no fault of a source: no snapshot without files. (Sanitizers need descriptors of their own.)
if grep -q -e __asan_init -e __tsan_init "$coppice"; then exit 0; fi
for i in $(seq 30); do mkdir -p "$source/deep/$i/$i"; echo x > "$source/deep/$i/$i/file"; done
mkdir -p "$source/$(printf 'level/%.0s' $(seq 40))"
got=0
(ulimit -n 14; "$coppice" backup "$source") > "$work/out" 2> "$work/err" || got=$?
case $got in
  0) status 0 "$coppice" restore "latest:$source" --to "$work/with-few"; same "$source" "$work/with-few" ;;
  1) says "Too many open files" ;;
  *) cat "$work/out" "$work/err" >&2; die "with few descriptors the backup ended with $got" ;;
esac
# No further thread: a sentence, and an exit status like that of any failure.
if [ "$(id -u)" = 0 ] && id nobody > /dev/null 2>&1 && command -v setpriv > /dev/null; then
  mkdir "$work/few"
  cp "$coppice" "$work/few/"
  chmod 0711 "$work"
  chmod -R a+rX "$work/few" "$source"
  install -d -o nobody "$work/nobody"
  install -m 0600 -o nobody "$work/passphrase" "$work/nobody/passphrase"
  as_nobody() { (ulimit -u "$1"; shift; exec setpriv --reuid=nobody --clear-groups env HOME="$work/nobody" COPPICE_CONFIG_DIR="$work/nobody/c" COPPICE_STATE_DIR="$work/nobody/s" COPPICE_VAULT="$work/nobody/v" "$@"); }
  if as_nobody 1000 "$work/few/coppice" init -q --passphrase-file "$work/nobody/passphrase" --recovery-file "$work/nobody/sheet" 2> "$work/err"; then
    status 1 as_nobody 1 "$work/few/coppice" backup "$source"
    says "no further thread can be started"
  fi
fi
