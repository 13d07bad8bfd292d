# A pack that is lost from the vault heals: the next backup says so, reads everything again, stores what was lost, and restores whole.
. "$(dirname "$0")/lib.sh" "$1"
new_vault
some_files "$work/files"
status 0 "$coppice" backup "$work/files"
sleep 2.1   # files are trusted to be unchanged only when they are older than that
status 0 "$coppice" backup "$work/files"
pack=$(find "$work/vault/packs" -type f | head -n 1)
mv "$pack" "$work/away"
status 1 "$coppice" check
status 3 "$coppice" backup "$work/files"
says "gone from the vault"
status 0 "$coppice" restore "latest:$work/files" --to "$work/back"
same "$work/files" "$work/back"
status 1 "$coppice" check
for id in $("$coppice" list --json | sed -n 's/.*"id": *"\([0-9a-f]*\)".*/\1/p' | head -n 2); do status 0 "$coppice" forget --yes "$id"; done
status 0 "$coppice" backup "$work/files"
