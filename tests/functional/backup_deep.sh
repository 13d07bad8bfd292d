# A tree deeper than there are descriptors is taken whole, with excludes too, and stays unchanged the next time.
. "$(dirname "$0")/lib.sh" "$1"
make_deep() {
  python3 - "$1" "$2" <<'PY'
import os, sys
os.mkdir(sys.argv[1])
at = os.open(sys.argv[1], os.O_RDONLY)
for level in range(int(sys.argv[2])):
    for name in ("d", "e"):
        os.mkdir(name, dir_fd=at)
    file = os.open("later", os.O_CREAT | os.O_WRONLY, dir_fd=at)
    os.write(file, b"text %d" % level)
    os.close(file)
    below = os.open("d", os.O_RDONLY, dir_fd=at)
    os.close(at)
    at = below
PY
}
new_vault
make_deep "$work/deep" 1500
sleep 3   # what is younger than two seconds when a run begins is read again by the next
for run in 1 2; do
  (ulimit -n 200; "$coppice" backup --json -e nothing-of-the-kind "$work/deep" > "$work/out" 2> "$work/err") || { cat "$work/err" >&2; die "a deep tree with few descriptors"; }
  grep -q '"files":1500,' "$work/out" || { cat "$work/out" >&2; die "run $run did not take all files"; }
done
grep -q '"files_unchanged":1500,' "$work/out" || die "a deep tree is read again"
