# With --json every command writes one JSON object a line and nothing else to standard output; failures too. Every command has examples
# in its help. Usage errors are told as JSON too; cat and tar tell it on standard error when standard output is data.
. "$(dirname "$0")/lib.sh" "$1"
documented=$(dirname "$0")/../../docs/json.md
lines() {  # lines STATUS TYPE COMMAND...: that status, every line an object, the last of that type
  local wanted=$1 type=$2
  shift 2
  status "$wanted" "$coppice" "$@" --json
  python3 - "$work/out" "$type" "$documented" <<'PY' || die "'$*' --json: $(cat "$work/out")"
import json, re, sys
seen = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
assert all(isinstance(s, dict) and "type" in s for s in seen), "an object without a type"
assert seen[-1]["type"] == sys.argv[2], seen[-1]
page = open(sys.argv[3], encoding="utf-8").read()
for one in seen:
    assert f"`{one['type']}`" in page, f"the type {one['type']} is not in the document"
    for key, value in one.items():
        assert f"`{key.removesuffix('_b64')}`" in page, f"the field {key} of {one['type']} is not in the document"
        if key in ("time", "started", "finished", "mtime", "oldest", "newest", "last_run", "last_ended", "last_good", "next") or (key == "added" and isinstance(value, str)):
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{9})?Z", value), (key, value)
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
for command in "cat" "tar"; do
  "$coppice" $command "$first:$work/files/good" --json > "$work/data" 2> "$work/err" || die "$command --json failed"
  python3 -c 'import json,sys; [last] = [json.loads(l) for l in open(sys.argv[1])]; assert last["type"] == "summary", last' "$work/err" ||
    die "$command --json: $(cat "$work/err")"
done
[ "$("$coppice" cat "$first:$work/files/good" --json 2> /dev/null)" = y ] || die "cat --json does not write the file"
status 1 "$coppice" cat "latest:$work/files/good" --json
[ ! -s "$work/out" ] || die "an error of cat went into its output"
python3 -m json.tool < "$work/err" > /dev/null || die "$(cat "$work/err")"
lines 1 error find 'no-such-*'
lines 1 error diff "latest:/nosuch" latest
lines 1 error restore latest --to "$work/none" --include 'no-such-*'
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
lines 0 key key remove web1 --yes --passphrase-file "$work/passphrase"
lines 0 identity key generate --out "$work/identity"
lines 0 test_sheet key test-sheet "$work/sheet"
lines 0 summary forget "$first" --dry-run
lines 0 summary forget "$first" --yes
lines 0 summary forget --keep-last 1 --dry-run
lines 1 error status
printf '[plan.p]\nsources = ["%s/files"]\nbefore = [["true"]]\nkeep = { last = 1 }\nlog = "%s/log"\n' "$work" "$work" > "$COPPICE_CONFIG_DIR/coppice.toml"
lines 0 plan_run plan run p
lines 0 summary plan keep p --dry-run
lines 0 summary status
COPPICE_VAULT="$work/nowhere" lines 1 error plan run p
lines 1 summary status
rm "$COPPICE_CONFIG_DIR/coppice.toml"
lines 0 version version
lines 0 snapshot list --forgotten
python3 - "$work/out" <<'PY2' || die "the forgotten snapshot is not told apart: $(cat "$work/out")"
import json, sys
assert [json.loads(line)["forgotten"] for line in open(sys.argv[1])] == [True, False, False]
PY2
"$coppice" list --forgotten | grep -c '(forgotten)' | grep -qx 1 || die "list --forgotten does not say which"

for command in init backup list ls find diff cat restore tar check stats forget key version status plan "plan run" "plan keep" "key add" "key export" "key list" "key remove" \
  "key rotate" "key test-sheet" "key generate"; do
  status 0 "$coppice" $command --help
  says "Examples:"
done
status 2 "$coppice"
says "coppice backup"
COPPICE_VAULT='' status 2 "$coppice"
says "coppice init"
[ "$(wc -l < "$work/err")" -lt 15 ] || die "the first words are many"
status 2 "$coppice" key
status 2 "$coppice" lst
says "there is no command 'lst'"
bad_label=$(printf 'caf\351')
usage() { status 2 "$coppice" "$@"; lines 2 error "$@"; }
usage list --bogus
usage list --memory-max 1M
usage list --last -1
usage list --last 0
usage list --tag ''
usage backup --compression 40 "$work/files"
usage backup --limit-rate fast "$work/files"
usage backup -e '[' "$work/files"
usage backup --tag '' "$work/files"
usage backup --tag "$bad_label" "$work/files"
usage backup --stdin x "$work/files"
usage backup --stdin a/b
usage restore latest
usage restore latest --to "$work/x" --in-place
usage restore yesterday --to "$work/x"
usage restore latest --to "$work/x" --include '['
usage ls yesterday
usage ls @garbage
usage diff latest:/a/../b latest
usage cat latest
usage tar @
usage forget
usage forget latest:/x
usage forget --keep-last 1 latest
usage forget --keep-within soon
usage plan run
usage status --max-age soon
usage find '['
usage find x --snapshot yesterday
usage check --read-data=0
usage key add --name nobody --passphrase-file "$work/passphrase"
[ "$(ls "$COPPICE_STATE_DIR" 2> /dev/null | wc -l)" -le 2 ] || die "a usage error left something"
