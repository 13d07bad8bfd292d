# With --json every command writes one JSON object a line and nothing else to standard output; failures too. Every command has examples
# in its help; man page and completion are whole.
. "$(dirname "$0")/lib.sh" "$1"
lines() {  # lines STATUS TYPE COMMAND...: that status, every line an object, the last of that type
  local wanted=$1 type=$2
  shift 2
  status "$wanted" "$coppice" "$@" --json
  python3 - "$work/out" "$type" <<'PY' || die "'$*' --json: $(cat "$work/out")"
import json, sys
seen = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
assert all(isinstance(s, dict) and "type" in s for s in seen), "an object without a type"
assert seen[-1]["type"] == sys.argv[2], seen[-1]
PY
}
COPPICE_VAULT='' lines 2 error list
lines 1 error list
lines 0 summary init --passphrase-file "$work/passphrase" --recovery-file "$work/sheet"
lines 1 error init --passphrase-file "$work/passphrase" --recovery-file "$work/sheet2"
mkdir "$work/files"
echo x > "$work/files/$(printf 'bad-\377-name')"
echo y > "$work/files/good"
mkfifo "$work/files/pipe"
lines 0 summary backup --tag a "$work/files"
rm "$work/files/good"
lines 0 summary backup --tag b "$work/files"
lines 0 summary backup --dry-run "$work/files"
lines 0 snapshot list
first=$(head -n 1 "$work/out" | python3 -c 'import json,sys; print(json.loads(sys.stdin.readline())["id"])')
lines 0 entry ls -R latest
says path_b64
lines 0 entry find 'bad-*'
lines 0 summary diff "$first" latest
status 2 "$coppice" cat "latest:$work/files/good" --json
lines 0 summary restore latest --to "$work/back" --verify
lines 0 summary restore latest --to "$work/back2" --dry-run
[ ! -e "$work/back2" ] || die "a dry run wrote something"
lines 1 error restore ffffffff --to "$work/back3"
lines 0 summary tar latest -o "$work/all.tar"
status 0 "$coppice" tar latest --json   # the archive on standard output, the summary on standard error
tail -n 1 "$work/err" | grep -q '"type":"summary"' || die "tar --json: $(cat "$work/err")"
lines 0 summary check --read-data
lines 0 stats stats
lines 0 vault key list
lines 0 key key export --role writer --name web1 --out "$work/web1.key" --passphrase-file "$work/passphrase"
lines 0 snapshot list --key-file "$work/web1.key"
lines 1 error restore latest --to "$work/no" --key-file "$work/web1.key"
lines 0 rotation key rotate --passphrase-file "$work/passphrase"
lines 0 key key remove web1 --passphrase-file "$work/passphrase"
lines 0 identity key generate --out "$work/identity"
lines 0 test_sheet key test-sheet "$work/sheet"
lines 0 summary forget "$first" --dry-run
lines 0 summary forget "$first" --yes
lines 0 version version

for command in init backup list ls find diff cat restore tar check stats forget key version "key add" "key export" "key list" "key remove" \
  "key rotate" "key test-sheet" "key generate"; do
  status 0 "$coppice" $command --help
  says "Examples:"
done
status 2 "$coppice"
status 2 "$coppice" key
status 2 "$coppice" lst
says "'lst' is not understood"
status 2 "$coppice" list --bogus
status 2 "$coppice" list --memory-max 1M
status 2 "$coppice" backup --compression 40 "$work/files"
status 2 "$coppice" backup --limit-rate fast "$work/files"
status 2 "$coppice" restore latest --to "$work/x" --in-place
status 2 "$coppice" forget
status 2 "$coppice" check --read-data=0
status 2 "$coppice" find '['
status 2 "$coppice" key add --name nobody --passphrase-file "$work/passphrase"
status 2 "$coppice" backup --stdin x "$work/files"

"$coppice" manual bash > "$work/completion"
bash -n "$work/completion"
completed() {  # completed WORDS...: what the completion offers for the last of them
  bash -c 'set -- "${@}"; . "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _coppice; echo "${COMPREPLY[*]}"' "$work/completion" "$@"
}
[[ " $(completed coppice res) " == *" restore "* ]] || die "'res' is not completed"
[[ " $(completed coppice restore --in-) " == *" --in-place "* ]] || die "'--in-' is not completed"
[[ " $(completed coppice key ro) " == *" rotate "* ]] || die "'key ro' is not completed"
"$coppice" manual man > "$work/coppice.1"
if command -v groff > /dev/null; then
  groff -man -Tutf8 -ww "$work/coppice.1" > "$work/rendered" 2> "$work/err" || die "the man page is not roff"
  [ ! -s "$work/err" ] || die "the man page: $(head -n 3 "$work/err")"
  grep -q "in-place" "$work/rendered" || die "the man page lacks an option"
fi
