# Every command keeps to --memory-max, at its minimum (128M) and by default (256M), whatever the shape of the source: many small files and
# a large one, large files, very many small directories, one directory with very many names of hard-linked files, many snapshots; and however
# many processors there are.
# Measured with a build without sanitizers, in a memory cgroup where one can be made (support/ceiling.py).
. "$(dirname "$0")/lib.sh" "$1"
use_plain_build
ceiling=$(readlink -f "$(dirname "$0")/../support/ceiling.py")
big=${COPPICE_SOAK:+5}
big=${big:-1}
cat > "$work/make.py" <<'PY'
# make.py SHAPE ROOT COUNT
import os, random, sys
shape, root, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
random.seed(7)
os.makedirs(root, exist_ok=True)
def write(name, data):
    with open(f"{root}/{name}", "wb") as out:
        out.write(data)
if shape == "files":         # COUNT files of words in directories of 1,000, and a large one
    words = [bytes(random.randrange(97, 123) for _ in range(random.randrange(2, 11))) for _ in range(5000)]
    for f in range(count):
        if f % 1000 == 0:
            os.mkdir(f"{root}/{f // 1000:03}")
        write(f"{f // 1000:03}/{f % 1000:03}", b" ".join(random.choices(words, k=random.randrange(20, 300))))
    with open(f"{root}/large", "wb") as out:
        for _ in range(count // 80):
            out.write(random.randbytes(1 << 20))
elif shape == "directories": # COUNT directories, a small file in every hundredth, so that groups stay open for long
    write("!", b"x")
    for d in range(count):
        if d % 1000 == 0:
            os.mkdir(f"{root}/{d // 1000:03}")
        os.mkdir(f"{root}/{d // 1000:03}/{d % 1000:03}")
        if d % 100 == 0:
            write(f"{d // 1000:03}/{d % 1000:03}/file", b"%d" % d)
elif shape == "names":       # one directory with COUNT names, the two names of a file far apart
    for f in range(count // 2):
        write(f"first-name-of-the-file-{f:06}", b"%012d" % f)
        os.link(f"{root}/first-name-of-the-file-{f:06}", f"{root}/second-name-of-the-file-{f:06}")
elif shape == "large":       # COUNT files of 1 to 16 MiB, random bytes and words by turns
    words = b" ".join(random.randbytes(random.randrange(1, 5)).hex().encode() for _ in range(700_000))
    for f in range(count):
        parts = (random.randbytes(1 << 20) if f % 2 else words[at:at + (1 << 20)] for at in random.choices(range(len(words) - (1 << 20)), k=random.randrange(1, 17)))
        write(f"{f:04}", b"".join(parts))
elif shape == "scatter":     # a few bytes changed in every 4 MiB of every file
    for name in os.listdir(root):
        if os.path.isfile(f"{root}/{name}"):
            with open(f"{root}/{name}", "r+b") as file:
                for at in range(0, os.path.getsize(file.name), 4 << 20):
                    file.seek(at)
                    file.write(random.randbytes(100))
PY
# For the programs that it is preloaded to, the machine has $PROCESSORS processors.
g++ -shared -fPIC -x c++ -o "$work/processors.so" - <<'CC'
#include <cstdlib>
extern "C" int get_nprocs() noexcept { return std::atoi(std::getenv("PROCESSORS")); }
CC
below() {  # below MIB ARGUMENTS...: coppice ARGUMENTS must succeed within MIB
  local mib=$1 command=("$coppice" "${@:2}") got=0
  [ "$mib" = 256 ] || command+=(--memory-max "${mib}M")   # 256 is the default
  python3 "$ceiling" "$mib" "${command[@]}" > "$work/out" 2> "$work/err" || got=$?
  grep ' MiB (' "$work/err" || true
  [ "$got" = 0 ] || { tail -n 20 "$work/err" >&2; die "'coppice ${*:2}' ended with $got within $mib MiB"; }
}
# every_command MIB SHAPE COUNT FILE RATE: FILE is one to cat, RATE how fast the vault takes the first backup.
every_command() {
  local mib=$1 source="$work/$2" file=$4
  echo "$3 $2 within $mib MiB"
  python3 "$work/make.py" "$2" "$source" "$3"
  export COPPICE_VAULT="$work/vault-$2-$mib"
  rm -f "$work/sheet"
  below "$mib" init -q --passphrase-file "$work/passphrase" --recovery-file "$work/sheet"
  below "$mib" backup -q --limit-rate "$5" "$source"
  below "$mib" backup -q "$source"
  mkdir "$source/changed"
  echo changed > "$source/changed/file"
  [ "$2" != large ] || python3 "$work/make.py" scatter "$source" 0
  below "$mib" backup -q "$source"
  below "$mib" list
  below "$mib" check -q --read-data
  below "$mib" stats -q
  read -r first last <<< "$("$coppice" list --json | sed -n 's/.*"id":"\([0-9a-f]*\)".*/\1/p' | sed -n '1p;$p' | tr '\n' ' ')"
  below "$mib" diff "$first" "$last"
  below "$mib" find -q '*9*'
  below "$mib" ls -q -R latest
  below "$mib" cat "latest:$source/$file"
  cmp -s "$work/out" "$source/$file" || die "cat gave something else"
  below "$mib" tar -q latest -o "$work/all.tar"
  below "$mib" restore -q "latest:$source" --to "$work/back"
  same "$source" "$work/back"
  below "$mib" restore -q "latest:$source" --to "$work/back"   # all of it right already
  below "$mib" forget --yes "$first"
  chmod -R u+w "$COPPICE_VAULT"
  rm -rf "$source" "$work/back" "$work/all.tar" "$COPPICE_VAULT"
}
every_command 256 files $((20000 * big)) large 1G
every_command 256 large $((40 * big)) 0001 1G
for processors in 3 8; do
  LD_PRELOAD=$work/processors.so PROCESSORS=$processors every_command 256 large $((40 * big)) 0001 1G
done
LD_PRELOAD=$work/processors.so PROCESSORS=8 every_command 128 large $((40 * big)) 0001 1G
every_command 128 files $((20000 * big)) large 1G
every_command 128 directories $((60000 * big)) '!' 1G
every_command 128 names $((60000 * big)) first-name-of-the-file-000042 300K

export COPPICE_VAULT="$work/vault-snapshots"
rm -f "$work/sheet"
new_vault
mkdir "$work/few"
count=$((50 * big * (big * 2 - 1)))   # 50, or 2,250
echo "$count snapshots"
for i in $(seq 1 "$count"); do
  echo "$i" > "$work/few/file"
  "$coppice" backup -q "$work/few" > /dev/null
done
for command in "list" "stats -q" "check -q --read-data" "find -q file" "backup -q $work/few" "restore -q latest --to $work/back"; do
  below 128 $command
done
