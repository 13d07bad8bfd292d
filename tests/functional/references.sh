# A snapshot is named by the first digits of its id, by "latest", by a moment; a path follows the first ":/". What names none says so.
. "$(dirname "$0")/lib.sh" "$1"
new_vault
mkdir -p "$work/files/with:colon"
echo one > "$work/files/name"
echo odd > "$work/files/with:colon/x"
status 0 "$coppice" backup -q --tag first --host web1 "$work/files"
sleep 2.1
between=$(date -u +%Y-%m-%dT%H:%M:%SZ)
sleep 1.1
echo two > "$work/files/name"
status 0 "$coppice" backup -q --tag second --host web2 "$work/files"
ids() { "$coppice" list --json "$@" | python3 -c 'import json,sys
for line in sys.stdin:
    print(json.loads(line)["id"])'; }
first=$(ids --tag first)
second=$(ids --host web2)
content() { [ "$("$coppice" cat "$1:$work/files/name" "${@:3}")" = "$2" ] || die "$1 is not the snapshot of $2"; }
content latest two
content "${first:0:4}" one
content "$first" one
content "${second:0:8}" two
content "$(tr a-f A-F <<< "${first:0:12}")" one
content "@$between" one
content "@$(date -u +%Y-%m-%dZ -d '+1 day')" two
content latest one --tag first
content latest one --host web1
[ "$("$coppice" cat "latest:$work/files/with:colon/x")" = odd ] || die "a colon in a name is lost"
status 1 "$coppice" cat "@2001-01-01:$work/files/name"
says "oldest"
status 1 "$coppice" ls 0000
says "coppice list"
status 1 "$coppice" ls latest:/no/such
status 1 "$coppice" ls latest --host web3
status 2 "$coppice" cat latest
status 2 "$coppice" cat "latest:$work/../x"
status 2 "$coppice" ls yesterday
says "4 digits"
status 1 "$coppice" ls "$first" --host web2
says "is not of host web2"
status 1 "$coppice" forget "$first" --host web2 --yes
status 0 "$coppice" ls "$first" --host web1
for path in "$work/files/" "$work//files/./with:colon" .; do
  [ "$(cd "$work/files" && ids --path "$path" | wc -l)" = 2 ] || die "--path $path does not match its source"
done
[ "$(ids --path "$work" | wc -l)" = 0 ] || die "--path matches what is no source"
[ "$(ids | wc -l)" = 2 ] || die "list does not show two"
[ "$(ids --last 1)" = "$second" ] || die "the newest is not last"

