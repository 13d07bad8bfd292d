# What a backup is asked to take: includes, excludes, sources that are missing; what it says of what it left out; usage errors.
. "$(dirname "$0")/lib.sh" "$1"
new_vault
some_files "$work/files"
status 3 "$coppice" backup "$work/files" "$work/not-there"
says "no such file or directory"
status 1 "$coppice" backup "$work/not-there"
for wrong in "-t ''" "-t \$'\\xff'" "-e '['" "-i ''" "--compression 99" "-e a//b"; do eval status 2 '"$coppice"' backup "$work/files" "$wrong"; done
status 2 "$coppice" backup -n --stdin name < /dev/null
status 2 "$coppice" backup --stdin a/b < /dev/null
status 0 "$coppice" backup -n "$work/files" -e large -e /src/build --json
grep -q '"type":"left_out","path":"'"$work"'/files/c/large","reason":"pattern"' "$work/out" || die "a dry run does not name what it leaves out"
grep -q '"left_out":{"pattern":1}' "$work/out" || die "the summary does not count what was left out"
grep -q '"vault_free":' "$work/out" || die "the summary does not tell what is free"
grep -q '"type":"notice","message":"the pattern /src/build matches nothing' "$work/out" || die "a pattern that matches nothing is not told"
status 0 "$coppice" backup "$work/files" -i 'file-1*' -i /nowhere/ -e file-13
says "left out:"
status 0 "$coppice" ls -R "latest:$work/files"
says file-12
if grep -q 'file-13\|file-2\|hello' "$work/out"; then die "taken, and not included"; fi
status 3 "$coppice" backup "$work/files" --include '*.nope'
says "nothing in the sources matches a pattern of what to include"
chattr +d "$work/files/a/b" 2> /dev/null || exit 0
status 0 "$coppice" backup "$work/files"
says "nodump"
status 0 "$coppice" backup "$work/files" --no-exclude-nodump
status 0 "$coppice" ls "latest:$work/files/a/b/hello"
