# Where secrets are not: in arguments, in what is printed, in memory that a core dump or the swap gets, in files that others could open
# even for a moment; and no child is given any, because there is none.
. "$(dirname "$0")/lib.sh" "$1"
umask 000   # nothing may rest on a careful one
(umask 077; echo "correct horse battery staple 4711" > "$work/passphrase"; echo "wrong horse battery staple" > "$work/wrong")
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"   # the leak checker does not work under strace
command -v strace > /dev/null || { echo "skipped: needs strace"; exit 77; }
strace -f -o "$work/trace-init" -e trace=openat,open,creat,mkdir,mkdirat,chmod,fchmod,fchmodat,execve,mknod,mknodat \
  "$coppice" init -q --passphrase-file "$work/passphrase" --recovery-file "$work/sheet" ||
  { echo "skipped: strace may not trace here"; exit 77; }
traced() {  # traced N ARGUMENTS...
  local n=$1
  shift
  strace -f -o "$work/trace-$n" -e trace=openat,open,creat,mkdir,mkdirat,chmod,fchmod,fchmodat,execve,mknod,mknodat "$coppice" "$@" > "$work/out-$n" 2> "$work/err-$n" ||
    die "'$*' failed: $(cat "$work/err-$n")"
}
mkdir -m 0700 "$work/files"
echo content > "$work/files/file"
chmod 0600 "$work/files/file"
traced backup backup "$work/files"
traced export key export --role writer --name web1 --out "$work/web1.key" --passphrase-file "$work/passphrase"
traced generate key generate --out "$work/identity"
traced add key add --name safe --role owner --out "$work/safe.key" --passphrase-file "$work/passphrase"
traced rotate key rotate --passphrase-file "$work/passphrase"
traced restore restore "latest:$work/files" --to "$work/back"
python3 - "$work" <<'P'
import re, sys, glob
bad = []
for trace in glob.glob(sys.argv[1] + "/trace-*"):
    executed = 0
    for line in open(trace, errors="replace"):
        if "execve(" in line: executed += 1
        call = re.search(r"\b(openat|open|creat|mkdir|mkdirat|chmod|fchmod|fchmodat|mknodat?)\((.*)\) = (\d+)", line)
        if not call: continue
        name, arguments = call.group(1), call.group(2)
        if name.startswith("open") and "O_CREAT" not in arguments and "O_TMPFILE" not in arguments: continue
        modes = re.findall(r", (0[0-7]*)$", arguments.strip())
        if not modes: bad.append("no mode told: " + line.strip()); continue
        if int(modes[0], 8) & 0o077: bad.append(trace + ": " + line.strip())
    if executed != 1: bad.append(trace + ": programs were run: " + str(executed))
if bad: sys.exit("\n".join(bad))
P
open_to_others=$(find "$work/home"/* "$work/vault" "$work/sheet" "$work"/*.key "$work/identity" -not -type l -perm /077)
[ -z "$open_to_others" ] || die "others may look: $open_to_others"

# What is printed, also when something is wrong with a key.
key=$(sed -n 's/^key //p' "$work/web1.key")
[ ${#key} = 44 ] || die "the key file has another form than this test knows"
sed "s|^key .*|key ${key}x|" "$work/web1.key" > "$work/longer.key"
sed "s|^key .*|kex $key|" "$work/web1.key" > "$work/line.key"
sed "s|^role .*|role $key|" "$work/web1.key" > "$work/role.key"
chmod 0600 "$work"/*.key
for file in longer line role; do
  status 1 "$coppice" list --key-file "$work/$file.key"
  cat "$work/out" "$work/err" >> "$work/said"
done
status 1 "$coppice" list --passphrase-file "$work/wrong"
cat "$work/out" "$work/err" >> "$work/said"
sed 's/^    17\. [a-z]*/    17. babab/' "$work/sheet" > "$work/sheet-wrong"
chmod 0600 "$work/sheet-wrong"
"$coppice" key test-sheet "$work/sheet-wrong" >> "$work/said" 2>&1 && die "a wrong sheet passes"
cat "$work"/out-* "$work"/err-* >> "$work/said"
word=$(sed -n 's/^     1\. \([a-z]\{5\}\) .*/\1/p' "$work/sheet")
[ -n "$word" ] || die "the sheet has another form than this test knows"
for secret in "$key" "correct horse" "wrong horse" "$word"; do
  ! grep -qF -- "$secret" "$work/said" || die "a secret was printed: $(grep -F -- "$secret" "$work/said")"
  ! grep -rqF -- "$secret" "$work/home/state" "$work/vault" || die "a secret lies in the vault or the state"
done
! "$coppice" --help | grep -q -- "--passphrase \|--password \|--key " || die "an option takes a secret as its value"

# Memory while a key is at work: nothing of it in pages that a core dump would have, and no core dump at all.
use_plain_build
mkfifo "$work/pipe"
ulimit -c unlimited 2> /dev/null || true
for credential in "--key-file $work/safe.key" "--passphrase-file $work/passphrase" "--recovery-sheet $work/sheet"; do
  "$coppice" backup --stdin name $credential < "$work/pipe" > "$work/out" 2> "$work/err" &
  pid=$!
  exec 7> "$work/pipe"
  head -c 3000000 /dev/zero >&7   # taken: the vault is open by then
  for _ in $(seq 1 100); do
    ! grep -q "^State:.*[SD]" "/proc/$pid/status" || [ "$(awk '/^VmLck/ {print $2}' "/proc/$pid/status")" = 0 ] || break
    sleep 0.05
  done
  sleep 0.2
  python3 - "$pid" "$work" <<'P' || { kill $pid; die "secrets in plain memory with $credential"; }
import base64, re, sys
pid, work = sys.argv[1:]
def key_of(name):
    return re.search(r"^key (\S+)$", open(f"{work}/{name}").read(), re.M).group(1)
text = key_of("safe.key")
words = re.search(r"^     1\. \w+ +2\. \w+ +3\. \w+ +4\. \w+$", open(f"{work}/sheet").read(), re.M).group(0)
secrets = {"the key file's key": base64.b64decode(text), "its text": text.encode()[4:40], "the passphrase": b"correct horse battery",
           "the words": words.encode()}
limits = open(f"/proc/{pid}/limits").read()
assert re.search(r"Max core file size\s+0\s+0", limits), "core dumps are not off"
assert int(re.search(r"VmLck:\s+(\d+)", open(f"/proc/{pid}/status").read()).group(1)) > 0, "no memory is locked"
found, seen_control, mapping, dumped = [], False, None, 0
memory = open(f"/proc/{pid}/mem", "rb", buffering=0)
for line in open(f"/proc/{pid}/smaps"):
    head = re.match(r"([0-9a-f]+)-([0-9a-f]+) (r)", line)
    if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line): mapping = head and (int(head.group(1), 16), int(head.group(2), 16), line.strip())
    if not line.startswith("VmFlags:") or not mapping or " dd" in line or "[v" in mapping[2]: continue
    memory.seek(mapping[0])
    try: data = memory.read(mapping[1] - mapping[0])
    except OSError: continue
    dumped += len(data)
    if work.encode() in data: seen_control = True
    for what, secret in secrets.items():
        at = data.find(secret)
        if at >= 0: found.append(f"{what} in {mapping[2]} at {at:#x}: {data[max(0, at - 48):at + 48]!r}")
assert seen_control and dumped > 1 << 20, "the search sees nothing at all"
if found: sys.exit("\n".join(found))
P
  exec 7>&-
  wait $pid || die "the backup failed: $(cat "$work/err")"
done
