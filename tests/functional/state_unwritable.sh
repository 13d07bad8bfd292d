# A restore needs the vault and a key, nothing else: with a state directory that cannot be made or written, reading goes on with a warning,
# a backup says why it does not, and a vault that was rolled back is still refused where a record can be read.
. "$(dirname "$0")/lib.sh" "$1"
new_vault
some_files "$work/files"
status 0 "$coppice" backup "$work/files"
echo "not a directory" > "$work/flat"
for state in "$work/flat" "$work/flat/below" /proc/nowhere; do
  COPPICE_STATE_DIR=$state status 0 "$coppice" list
  says "cannot be kept"
  rm -rf "$work/back"
  COPPICE_STATE_DIR=$state status 0 "$coppice" restore "latest:$work/files" --to "$work/back"
  same "$work/files" "$work/back"
  COPPICE_STATE_DIR=$state status 1 "$coppice" backup "$work/files"
  ! grep -q "memory-max" "$work/err" || die "memory has nothing to do with it"
done
status 0 "$coppice" list
! grep -q "cannot be kept" "$work/err" || die "nothing was wrong with the state directory"
cp -a "$work/vault" "$work/old"
status 0 "$coppice" key export --role writer --name web1 --out "$work/web1.key" --passphrase-file "$work/passphrase"
status 0 "$coppice" list   # sees the new roster
COPPICE_VAULT="$work/old" status 1 "$coppice" list
says "rolled back"
