# A file that looks right is left alone only when all of it is right; and then really: not even its ctime moves.
. "$(dirname "$0")/lib.sh" "$1"
new_vault
mkdir -p "$work/tree/sub"
for name in a b c d sub/e; do echo "$name" > "$work/tree/$name"; done
ln "$work/tree/a" "$work/tree/sub/second-name"
ln -s a "$work/tree/link"
status 0 "$coppice" backup -q "$work/tree"
status 0 "$coppice" restore "latest:$work/tree" --to "$work/back"

changes() { find "$work/back" -printf '%P %C@\n' | LC_ALL=C sort; }
before=$(changes)
for how in "" --verify; do
  status 0 "$coppice" restore "latest:$work/tree" --to "$work/back" $how
  says "6 were right already"
  [ "$(changes)" = "$before" ] || die "restore $how touched what was right: $(diff <(echo "$before") <(changes))"
done
status 0 "$coppice" restore "latest:$work/tree" --to "$work/back" --dry-run
says "0 files, 0 B; 6 were right already"
rm "$work/back/b"
status 0 "$coppice" restore "latest:$work/tree" --to "$work/back" --dry-run
says "1 file, 2 B; 5 were right already"
[ ! -e "$work/back/b" ] || die "a dry run made a file"
touch -d @1000000000 "$work/back/a"   # is replaced, and with it the other name of the same inode
rm "$work/back/c" && cp "$work/tree/c" "$work/back/c" && chmod 604 "$work/back/d"
agree() {  # agree FILES METADATA SKIPPED HOW...: what a dry run counts is what the run does
  local wanted="$1 $2 $3" how
  shift 3
  for how in --dry-run ""; do
    status 0 "$coppice" restore "latest:$work/tree" --to "$work/back" --json $how "$@"
    python3 - "$work/out" "$wanted" <<'PY' || die "restore $how $*"
import json, sys
s = [o for o in map(json.loads, open(sys.argv[1])) if o["type"] == "summary"][0]
got = f'{s["files"]} {s["metadata_set"]} {s["skipped"]}'
sys.exit(got != sys.argv[2] and f"counted {got}, wanted {sys.argv[2]}")
PY
  done
}
agree 4 1 1   # made: b; replaced: a, its second name, c; d's mode; e is right
agree 0 0 6
rm "$work/back/sub/second-name" && cp -p "$work/back/a" "$work/back/sub/second-name"   # right by itself, but no name of that inode
agree 1 1 5   # (and the times of its directory)
chmod 700 "$work/back/sub" && chmod 604 "$work/back/a"
status 0 "$coppice" restore "latest:$work/tree" --to "$work/back" --dry-run
says "^metadata $work/back/sub$"
agree 2 1 4   # what has other names is not changed, but replaced
chmod 700 "$work/back/sub" && chmod 604 "$work/back/d"
agree 0 2 5 --verify
chmod 604 "$work/back/d"
status 0 "$coppice" restore "latest:$work/tree" --to "$work/back"
says "0 files, 0 B; metadata of 1 set right; 5 were right already"
rm "$work/back/b"
status 0 "$coppice" restore "latest:$work/tree" --to "$work/back"
status 0 "$coppice" restore "latest:$work/tree" --to "$work/nowhere" --dry-run
says "6 files"
[ ! -e "$work/nowhere" ] || die "a dry run made its target"

for how in "" --verify; do
  setfattr -n user.foreign -v x "$work/back/a" 2> /dev/null || { echo "skipped: no extended attributes here"; exit 0; }
  if [ "$(id -u)" = 0 ]; then
    ! command -v setcap > /dev/null || setcap cap_setuid+ep "$work/back/b" || true
    ! command -v setfacl > /dev/null || setfacl -m u:1234:rwx "$work/back/c" 2> /dev/null || true
    if chattr +i "$work/back/d" 2> /dev/null; then   # not to be touched, unless that is asked for
      status 1 "$coppice" restore "latest:$work/tree" --to "$work/back" $how
      says "/d: it is right but for its attributes, immutable or append-only"
      says "--replace-immutable"
    fi
  fi
  status 0 "$coppice" restore "latest:$work/tree" --to "$work/back" --replace-immutable $how
  [ -z "$(getfattr -m - -d "$work"/back/[abcd] 2> /dev/null)" ] || die "foreign attributes stayed ($how): $(getfattr -m - -d "$work"/back/*)"
  echo changed >> "$work/back/d" || die "a foreign immutable flag stayed ($how)"
  status 0 "$coppice" restore "latest:$work/tree" --to "$work/back" $how
  same "$work/tree" "$work/back"
done

status 1 "$coppice" restore latest --to "$work/none" --include '*.nothing'
says "nothing in the snapshot matches"
status 0 "$coppice" restore latest --to "$work/some" --exclude '*.nothing'

# Bytes that rotted under the same size and times: a file that is named is compared, a whole tree with --verify.
rot() { printf R | dd of="$work/back/a" conv=notrunc status=none && touch -r "$work/tree/a" "$work/back/a"; }
rot
status 3 "$coppice" restore "latest:$work/tree/a" --to "$work/back"
says "its size and time are right but its content is not: it is restored again"
cmp "$work/tree/a" "$work/back/a" || die "a rotten file was named, and stayed"
rot
status 3 "$coppice" restore "latest:$work/tree" --to "$work/back" --verify
cmp "$work/tree/a" "$work/back/a" || die "a rotten file stayed with --verify"
