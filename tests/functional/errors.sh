# Wrong passphrase, wrong vault, no vault, newer format, usage: each a clear error and its own exit status.
. "$(dirname "$0")/lib.sh" "$1"
status 1 "$coppice" list
says "coppice init"
new_vault
status 1 "$coppice" init --passphrase-file "$work/passphrase" --recovery-file "$work/sheet2"
# The place is looked at before a passphrase is asked for.
status 1 "$coppice" init --recovery-file "$work/sheet2"
says "there is a vault at .* already"
status 1 "$coppice" init --passphrase-file "$work/passphrase"   # in a pipe, where no sheet would be shown
says "there is a vault at .* already"
echo mine > "$work/taken"
status 1 "$coppice" init --vault "$work/another" --recovery-file "$work/taken"
says "taken is there already; it is not overwritten"
says "name another file, or move that one away"
[ "$(cat "$work/taken")" = mine ] && [ ! -e "$work/another" ] || die "an init that was refused changed something"
status 1 "$coppice" init --vault "$work/missing/above" --recovery-file "$work/sheet2"
says "make the directory above it first"
status 2 "$coppice" backup
status 2 "$coppice" restore latest
status 2 "$coppice" no-such-command
status 2 "$coppice" restor latest
says "there is no command 'restor' (is 'restore' meant?)"
status 2 "$coppice" plan tets
says "is 'test' meant?"
status 2 "$coppice" list --hots web1
says "'--hots' is not understood here (is '--host' meant?)"
status 0 "$coppice" help restore
says "--in-place"
status 0 "$coppice" help plan keep
says "--dry-run"
status 0 "$coppice" help
says "backup"
status 2 "$coppice" help restor
says "is 'restore' meant?"
status 1 "$coppice" backup "$work/nothing-here"
(umask 077; echo "another passphrase, wrong" > "$work/wrong")
status 1 "$coppice" key rotate --passphrase-file "$work/wrong"
says "passphrase"
mkdir "$work/f" && echo x > "$work/f/x"
status 0 "$coppice" backup "$work/f"
status 1 "$coppice" restore 0000dead --to "$work/to"
COPPICE_VAULT="$work/f" status 1 "$coppice" list
# A name is said once.
mkdir "$work/g" && echo y > "$work/g/y"
status 0 "$coppice" backup "$work/g"
for pack in $(find "$work/vault/packs" -type f); do chmod u+w "$pack"; truncate -s 100 "$pack"; done
status 1 "$coppice" cat "latest:$work/g/y"
! grep -E '([^ ]+: )\1' "$work/err" || die "a name is said twice"
chmod -R u+w "$work/vault"
sed 's/"version": *1/"version": 2/' "$work/vault/vault.json" > "$work/v" && mv -f "$work/v" "$work/vault/vault.json"
status 1 "$coppice" list
says "2"
