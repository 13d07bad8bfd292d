# The ceiling holds: backup, restore, check, find and tar of many files and of a large one stay below --memory-max.
. "$(dirname "$0")/lib.sh" "$1"
if grep -q __asan_init "$coppice" || grep -q __tsan_init "$coppice"; then
  plain="$tools/../../release/bin/coppice"   # a sanitizer's shadow is no memory of ours
  [ -x "$plain" ] || { echo "skipped: measured with a build without sanitizers"; exit 0; }
  coppice=$(readlink -f "$plain")
fi
python3 - "$work/files" <<'PY'
import os, random, sys
random.seed(7)
words = [bytes(random.randrange(97, 123) for _ in range(random.randrange(2, 11))) for _ in range(5000)]
for d in range(40):
    path = f"{sys.argv[1]}/{d:03}"
    os.makedirs(path)
    for f in range(1000):
        with open(f"{path}/{f:04}", "wb") as out:
            out.write(b" ".join(random.choices(words, k=random.randrange(20, 300))))
with open(f"{sys.argv[1]}/large", "wb") as out:
    for _ in range(250):
        out.write(random.randbytes(1 << 20))
PY
# below MIB COMMAND...: runs it; its peak resident memory must stay below.
below() {
  local limit=$1
  shift
  python3 - "$limit" "$work/out" "$@" <<'PY' || die "'$*' does not keep to $limit MiB"
import resource, subprocess, sys
limit, out, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
with open(out, "wb") as sink:
    status = subprocess.call(command, stdout=sink)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(f"{peak:7.1f} of {limit} MiB: {' '.join(command[1:3])}", flush=True)
sys.exit(status != 0 or peak >= limit)
PY
}
for mib in 256 128; do
  rm -rf "$work/back" "$work/all.tar" "$work/sheet"
  export COPPICE_VAULT="$work/vault-$mib"
  new_vault
  below $mib "$coppice" backup -q "$work/files" --memory-max "${mib}M"
  below $mib "$coppice" backup -q "$work/files" --memory-max "${mib}M"
  below $mib "$coppice" restore -q "latest:$work/files" --to "$work/back" --verify --memory-max "${mib}M"
  below $mib "$coppice" check -q --read-data --memory-max "${mib}M"
  below $mib "$coppice" find -q 0999 --memory-max "${mib}M"
  below $mib "$coppice" tar -q latest -o "$work/all.tar" --memory-max "${mib}M"
  below $mib "$coppice" ls -q -R latest --memory-max "${mib}M"
  same "$work/files" "$work/back"
  rm -rf "$COPPICE_VAULT"
done
