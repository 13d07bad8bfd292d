# check names what is damaged: the first hundred files of a finding, how many more there are, and with --all every one.
. "$(dirname "$0")/lib.sh" "$1"
new_vault
mkdir -p "$work/files/d"
for i in $(seq 1 150); do echo "content $i" > "$work/files/d/file-$i"; done
status 0 "$coppice" backup -q "$work/files"
echo more > "$work/files/d/another"
status 0 "$coppice" backup -q "$work/files"   # a second version of the directory
rm "$COPPICE_VAULT/packs/0/0/0"
files_of() { python3 -c '
import json, sys
found = [f for f in map(json.loads, open(sys.argv[1])) if f["type"] == "finding" and f["object"].startswith("packs/")]
assert len(found) == 1, found
paths = [f["path"] for f in found[0]["files"]]
assert len(set(paths)) == len(paths) and found[0]["files_total"] >= 150
print(len(paths), found[0]["files_left_out"])' "$work/out"; }
named() { grep -c "^         $work/files/d/file-[0-9]*$" "$work/out"; }

status 1 "$coppice" check
says "^         stored by "
[ "$(named)" = 100 ] || die "$(named) files are named"
says "^         and up to [0-9]* more: --all names them$"
status 1 "$coppice" check --all
[ "$(named)" = 150 ] || die "$(named) files are named with --all"
! grep " more" "$work/out" || die "all are named, and there are more"
status 1 "$coppice" check --json
[ "$(files_of)" = "100 True" ] || die "$(files_of)"
status 1 "$coppice" check --all --json
[ "$(files_of)" = "150 False" ] || die "$(files_of)"

# A slot that nobody here can open is looked at all the same; and what this host committed is missed, though no list names it.
rm -rf "$COPPICE_VAULT" "$COPPICE_STATE_DIR" "$COPPICE_CONFIG_DIR/keys"
rm "$work/sheet"
new_vault
for _ in 1 2; do echo more >> "$work/files/d/another"; status 0 "$coppice" backup -q "$work/files"; done
status 0 "$coppice" check
for slot in "$COPPICE_VAULT"/keys/*; do
  for at in 200 -3 -30; do
    cp "$slot" "$work/slot"
    chmod u+w "$slot"
    python3 -c 'import sys; b = bytearray(open(sys.argv[1], "rb").read()); b[int(sys.argv[2])] ^= 4; open(sys.argv[1], "wb").write(b)' "$slot" "$at"
    status 1 "$coppice" check
    says "keys/${slot##*/}: "
    cp "$work/slot" "$slot"
  done
done
status 0 "$coppice" check
newest=$(ls "$COPPICE_VAULT/snapshots" | sort -V | tail -n 1)
mv "$COPPICE_VAULT/snapshots/$newest" "$work/newest"
status 1 "$coppice" check
says "the vault no longer holds snapshot .* (session $newest), which this host committed and nobody forgot"
mv "$work/newest" "$COPPICE_VAULT/snapshots/$newest"
status 0 "$coppice" check

# The same when the vault was replaced by an older copy, in which another state has taken the name since.
cp -a "$COPPICE_VAULT" "$work/older"
status 0 "$coppice" backup -q "$work/files"
newest=$(ls "$COPPICE_VAULT/snapshots" | sort -V | tail -n 1)
rm -rf "$COPPICE_VAULT"
mv "$work/older" "$COPPICE_VAULT"
echo more >> "$work/files/d/another"
COPPICE_STATE_DIR="$work/other-state" status 0 "$coppice" backup -q "$work/files"
[ -e "$COPPICE_VAULT/snapshots/$newest" ] || die "the name $newest was not taken"
status 1 "$coppice" check
says "the vault no longer holds snapshot .* (session $newest), which this host committed and nobody forgot"

# A lost commit: its packs are told from packs that are gone, and when they go as well, the backup after it does not rely on them.
rm -rf "$COPPICE_VAULT" "$COPPICE_STATE_DIR" "$COPPICE_CONFIG_DIR/keys"
rm "$work/sheet"
new_vault
for _ in 1 2; do echo more >> "$work/files/d/another"; status 0 "$coppice" backup -q "$work/files"; done
rm -f "$COPPICE_VAULT/snapshots/0.0"
status 1 "$coppice" check
says "packs/0/0/0: it is there, but the commit that recorded it is lost or damaged"
rm -rf "$COPPICE_STATE_DIR/"*/damaged*   # whatever the check noted
rm -f "$COPPICE_VAULT/packs/0/0/0"
status 3 "$coppice" backup "$work/files"
says "no valid commit records"
status 0 "$coppice" restore -q "latest:$work/files" --to "$work/after-loss"
same "$work/files" "$work/after-loss"
