# What restore puts where: full paths, the contents of a directory, one file, in place, by patterns; nothing else is touched.
. "$(dirname "$0")/lib.sh" "$1"
new_vault
mkdir -p "$work/data/docs/old" "$work/data/src"
for name in docs/a.txt docs/b.pdf docs/old/c.txt src/d.txt src/e.o; do echo "$name" > "$work/data/$name"; done
status 0 "$coppice" backup -q "$work/data"
files() { (cd "$1" && find . -type f | LC_ALL=C sort | tr '\n' ' '); }
want() { [ "$(files "$1")" = "$2" ] || die "$1 holds $(files "$1")"; }

status 0 "$coppice" restore "latest:$work/data/docs" --to "$work/1"
want "$work/1" "./a.txt ./b.pdf ./old/c.txt "
status 0 "$coppice" restore "latest:$work/data/docs/a.txt" --to "$work/2"
want "$work/2" "./a.txt "
status 0 "$coppice" restore "latest:$work/data" --to "$work/3" --include '*.txt'
want "$work/3" "./docs/a.txt ./docs/old/c.txt ./src/d.txt "
status 0 "$coppice" restore "latest:$work/data" --to "$work/4" --exclude '*.txt'
want "$work/4" "./docs/b.pdf ./src/e.o "
status 0 "$coppice" restore "latest:$work/data" --to "$work/5" --include '*.txt' --exclude old/
want "$work/5" "./docs/a.txt ./src/d.txt "
status 0 "$coppice" restore "latest:$work/data" --to "$work/6" --exclude "$work/data/docs/"
want "$work/6" "./src/d.txt ./src/e.o "
status 2 "$coppice" restore latest --to "$work/none" --exclude '!x'
status 2 "$coppice" restore latest --to "$work/none" --include '['
[ ! -e "$work/none" ] || die "a restore that was refused made its target"
status 0 "$coppice" restore latest --to "$work/7" --include "$work/data/src/"
want "$work/7$work/data" "./src/d.txt ./src/e.o "

# In place: what was lost and what was spoilt comes back, what came since stays.
cp -a "$work/data" "$work/before"
rm -r "$work/data/docs/old"
echo spoilt > "$work/data/docs/a.txt"
touch "$work/data/src/new"
status 0 "$coppice" restore "latest:$work/data/docs" --in-place --dry-run
says "^make *$work/data/docs/old$"
says "^make *$work/data/docs/old/c.txt$"
says "^replace *$work/data/docs/a.txt$"
! grep -q "b.pdf" "$work/out" || die "what stays is told as well"
status 0 "$coppice" restore "latest:$work/data/docs" --in-place --dry-run --json
says '"type":"outcome","action":"leave","path":".*docs/b.pdf"'
[ ! -e "$work/data/docs/old" ] || die "a dry run made something"
status 1 "$coppice" restore latest --to "$work/data/src/e.o"
says "e.o: it is no directory"
! grep -q "coppice ls" "$work/err" || die "a target that is a file is taken for something that the snapshot lacks"
status 0 "$coppice" restore "latest:$work/data/docs" --in-place --verify
same "$work/before/docs" "$work/data/docs"
[ -e "$work/data/src/new" ] || die "a restore in place took a file away"
rm "$work/data/src/d.txt"
status 0 "$coppice" restore "latest:$work/data/src/d.txt" --in-place
rm "$work/data/src/new"
same "$work/before" "$work/data"

# In place, nothing is written through a symlink that took the place of a directory.
mkdir "$work/victim"
rm -r "$work/data/docs"
ln -s "$work/victim" "$work/data/docs"
status 0 "$coppice" restore "latest:$work/data/docs" --in-place
[ -z "$(ls -A "$work/victim")" ] || die "a restore in place wrote through a symlink"
same "$work/before" "$work/data"
mv "$work/data" "$work/victim/data"
ln -s "$work/victim/data" "$work/data"
status 1 "$coppice" restore "latest:$work/data/docs" --in-place
says "a symlink to $work/victim/data"

# With a path, `latest` and a time mean the newest snapshot that has it whole, not one of a part of it or of something else.
mkdir -p "$work/two/data/part" "$work/two/etc"
echo whole > "$work/two/data/whole"; echo part > "$work/two/data/part/file"; echo etc > "$work/two/etc/file"
status 0 "$coppice" backup "$work/two/data"
status 0 "$coppice" backup "$work/two/data/part"
status 0 "$coppice" backup "$work/two/etc"
status 0 "$coppice" restore "latest:$work/two/data" --to "$work/two-back"
same "$work/two/data" "$work/two-back"
status 0 "$coppice" cat "latest:$work/two/data/part/file"
says part
# Nobody has /two whole: then it is the newest, and what it has of it is told.
status 3 "$coppice" restore "latest:$work/two" --to "$work/two-part"
says "of it, this snapshot has $work/two/etc"

# One that lacks a source is passed over for an older whole one of that host, and both are named.
mkdir -p "$work/three/a" "$work/three/b"
echo old > "$work/three/a/file"; echo b > "$work/three/b/file"
status 0 "$coppice" backup -q "$work/three/a" "$work/three/b"
cp -a "$work/three" "$work/three-whole"
echo new > "$work/three/a/file"
mv "$work/three/b" "$work/three-b"
status 3 "$coppice" backup "$work/three/a" "$work/three/b"
status 3 "$coppice" restore "latest:$work/three/b" --to "$work/three-back/b"
says "the newest whole snapshot is taken, .*: .* is partial. To take that one, name it: [0-9a-f]*:$work/three/b"
status 3 "$coppice" restore "latest:$work/three/a" --to "$work/three-back/a"
says "the newest whole snapshot is taken"
same "$work/three-whole" "$work/three-back"
partial=$(sed -n 's/.*To take that one, name it: \([0-9a-f]*\):.*/\1/p' "$work/err")
for command in cat tar ls; do
  status 3 "$coppice" "$command" "latest:$work/three/a/file"
  says "the newest whole snapshot is taken"
done
status 3 "$coppice" find file --snapshot "latest:$work/three/a"
says "the newest whole snapshot is taken"
status 0 "$coppice" find file --snapshot "$partial:$work/three/a"
status 0 "$coppice" cat "$partial:$work/three/a/file"
says "^new$"
status 3 "$coppice" restore "$partial:$work/three/a" --to "$work/three-newer"
says "snapshot $partial is partial"
same "$work/three/a" "$work/three-newer"

# Nothing that was asked for, nothing that is there lost: patterns that leave out all of it, an archive that was written before, the vault itself.
status 1 "$coppice" restore "latest:$work/two/data" --to "$work/none" --exclude two
says "exclude: everything that was asked for matches"
echo precious > "$work/archive.tar"
status 1 "$coppice" tar "latest:$work/two/nowhere" -o "$work/archive.tar"
[ "$(cat "$work/archive.tar")" = precious ] || die "an archive was written over by nothing"
mkdir "$work/way"
ln -s ../vault "$work/way/in"
for place in "$work/vault" "$work/vault/packs/new" "$work/way/in/new"; do
  status 1 "$coppice" restore "latest:$work/two/etc" --to "$place"
  says "lies in the vault"
done
