# The vault and the local state are left out of every backup, even when they lie inside a source or are reached by another name.
. "$(dirname "$0")/lib.sh" "$1"
mkdir "$work/everything"
ln -s everything "$work/alias"
export COPPICE_VAULT="$work/alias/vault" COPPICE_STATE_DIR="$work/everything/state" COPPICE_CONFIG_DIR="$work/everything/config"
new_vault
echo kept > "$work/everything/file"
for round in 1 2; do
  status 0 "$coppice" backup -q "$work/everything"
done
"$coppice" ls -R "latest" > "$work/listing"
grep -q "everything/file$" "$work/listing" || die "the file is not in the snapshot"
grep -q "everything/config/keys/" "$work/listing" || die "the configuration is not in the snapshot"
! grep -q "vault.json" "$work/listing" || die "the vault is in its own snapshot"
! grep -qE "everything/state/." "$work/listing" || die "the local state is in the snapshot"
