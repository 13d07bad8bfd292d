# list, ls, find, diff, forget, stats: from trees alone, without a data pack; JSON is JSON; names that are not UTF-8 survive.
. "$(dirname "$0")/lib.sh" "$1"
new_vault
some_files "$work/files"
touch "$work/files/$(printf 'bad-\377-name')"
sleep 3
status 0 "$coppice" backup --tag one "$work/files"
echo changed > "$work/files/a/b/hello"
rm "$work/files/a/file-3"
status 0 "$coppice" backup --tag two "$work/files"
mv "$work/vault/packs" "$work/packs-away"
first=$("$coppice" list --json --tag one | python3 -c 'import json,sys; print([json.loads(l) for l in sys.stdin if "\"id\"" in l][0]["id"][:12])')
status 0 "$coppice" diff "$first" latest
says "hello"
says "file-3"
status 0 "$coppice" find 'file-1*' latest
says "file-12"
status 0 "$coppice" ls -l "latest:$work/files/a"
for command in list "ls latest" "find file-2" "diff $first latest" stats; do
  "$coppice" $command --json | while read -r line; do echo "$line" | python3 -m json.tool > /dev/null || die "$command --json: $line"; done
done
status 0 "$coppice" ls -R latest --json   # (no pipe: a grep that has seen enough would end the writer)
says path_b64
mv "$work/packs-away" "$work/vault/packs"
status 0 "$coppice" forget "$first" --yes
[ "$("$coppice" list --json | grep -c '"id"')" = 1 ] || die "the forgotten snapshot is still listed"
status 0 "$coppice" check
head -c 100000 /dev/urandom > "$work/stream"
status 0 "$coppice" backup --stdin dump.bin < "$work/stream"
"$coppice" cat latest:/dump.bin | cmp - "$work/stream" || die "the stream came back different"

# Small files share chunks: one that is read again lies in another, and is no other file for that.
mkdir -p "$work/small"
for i in $(seq 1 40); do echo "content of $i" > "$work/small/$i"; done
status 0 "$coppice" backup -q "$work/small"
status 0 "$coppice" backup "$work/small"   # so soon that they must be read again
says "nothing changed, 40 read again"
sleep 2.1
status 0 "$coppice" backup -q "$work/small"
chmod 600 "$work/small/7" "$work/small/31"
before=$("$coppice" list --json --path "$work/small" | sed -n 's/.*"short_id":"\([^"]*\)".*/\1/p' | tail -n 1)
status 0 "$coppice" backup -q "$work/small"
status 0 "$coppice" diff "$before:$work/small" "latest:$work/small"   # /tmp itself is others' too
says "^0 added, 0 removed, 0 modified, 2 with other metadata only"
# What takes another's place with its size and its time of modification is another file all the same.
touch -r "$work/small/10" "$work/small/11"
mv "$work/small/10" "$work/small/x"; mv "$work/small/11" "$work/small/10"; mv "$work/small/x" "$work/small/11"
status 0 "$coppice" backup -q "$work/small"
status 0 "$coppice" diff "$before:$work/small" "latest:$work/small"
says "^M .*small/10$"
