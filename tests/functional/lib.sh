# What the functional tests share. Sourced: `. lib.sh "$1"` with the binary. Each test works in a directory of its own.
set -euo pipefail
coppice=$(readlink -f "$1")
tools=$(dirname "$coppice")
work=$(mktemp -d "${TMPDIR:-/tmp}/coppice-functional-XXXXXX")
trap 'rm -rf "$work"' EXIT
unset COPPICE_PASSPHRASE_FILE
# Root too keeps its keys and state in there, not in /etc and /var/lib.
export HOME="$work/home" COPPICE_CONFIG_DIR="$work/home/config" COPPICE_STATE_DIR="$work/home/state" COPPICE_VAULT="$work/vault"
mkdir -p "$HOME"
(umask 077; echo "a passphrase of some length" > "$work/passphrase")

die() { echo "FAILED: $*" >&2; exit 1; }
new_vault() { "$coppice" init -q --passphrase-file "$work/passphrase" --recovery-file "$work/sheet" "$@"; }
# From here on the build without a sanitizer (whose shadow is no memory of ours, and which locks none). Without such a build the test ends as skipped.
use_plain_build() {
  grep -q -e __asan_init -e __tsan_init "$coppice" || return 0
  local plain="$tools/../../release/bin/coppice"
  [ -x "$plain" ] || { echo "skipped: needs a build without sanitizers: ./dev build"; exit 77; }
  coppice=$(readlink -f "$plain")
}
# status N COMMAND...: the command must end with exactly that status.
status() {
  local wanted=$1 got=0
  shift
  "$@" > "$work/out" 2> "$work/err" || got=$?
  [ "$got" = "$wanted" ] || { cat "$work/out" "$work/err" >&2; die "'$*' ended with $got, wanted $wanted"; }
}
says() { grep -q -- "$1" "$work/out" "$work/err" || { cat "$work/out" "$work/err" >&2; die "nothing said: $1"; }; }
some_files() {
  mkdir -p "$1/a/b" "$1/c"
  for i in $(seq 1 40); do head -c $((i * 700)) /dev/urandom | base64 > "$1/a/file-$i"; done
  head -c 3000000 /dev/urandom > "$1/c/large"
  echo hello > "$1/a/b/hello"
  ln "$1/a/b/hello" "$1/c/second-name"
  ln -s ../a "$1/c/link"
}
same() { diff -r --no-dereference "$1" "$2" > /dev/null || die "$1 and $2 differ"; }
