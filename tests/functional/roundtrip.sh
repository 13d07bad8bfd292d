# A tree with every kind of thing comes back as it was; the second backup of it stores nothing; one file, a folder, a pattern can be had alone.
. "$(dirname "$0")/lib.sh" "$1"
new_vault
mkdir "$work/tree"
"$tools/treemake" 7 "$work/tree/t"
rm -rf "$work/tree/t"/flag-{,file-,dir-}nodump   # left out by design: chattr +d
sleep 3
status 0 "$coppice" backup "$work/tree"
status 0 "$coppice" backup "$work/tree"
says "nothing changed"
status 0 "$coppice" restore "latest:$work/tree" --to "$work/back" --verify
"$tools/treecmp" --no-top "$work/tree" "$work/back" || die "the restored tree differs"
some_files "$work/files"
status 0 "$coppice" backup --tag second "$work/files"
status 0 "$coppice" cat "latest:$work/files/a/b/hello"
[ "$(cat "$work/out")" = hello ] || die "cat gave something else"
status 0 "$coppice" restore latest --to "$work/full"
same "$work/files" "$work/full$work/files"
status 0 "$coppice" restore "latest:$work/files/a" --to "$work/a" --include 'file-1*'
[ "$(ls "$work/a" | wc -l)" = 11 ] || die "the pattern chose $(ls "$work/a" | wc -l) files"
status 0 "$coppice" restore "latest:$work/files" --to "$work/full$work/files"   # again, onto what is right already
same "$work/files" "$work/full$work/files"
"$coppice" tar "latest:$work/files" 2> /dev/null | (mkdir "$work/untar" && tar -C "$work/untar" -xf -)
same "$work/files" "$work/untar"
status 0 "$coppice" check --read-data
