# A pack that is damaged where it stands heals once a check has found it: the next backup stores anew what was in it and restores whole, and a
# pack that was put back from a copy is trusted again.
. "$(dirname "$0")/lib.sh" "$1"
some_files "$work/files"
sleep 3.1   # files are trusted to be unchanged only when they are older than that
damage() { printf 'XXXX' | dd of="$1" bs=1 seek=300 conv=notrunc status=none; }
for kind in packs trees; do
  rm -rf "$work/vault" "$work/sheet" "$work/home"
  new_vault
  status 0 "$coppice" backup "$work/files"
  pack=$(find "$work/vault/$kind" -type f | sort | head -n 1)
  cp "$pack" "$work/copy"
  chmod u+w "$pack"
  damage "$pack"
  status 0 "$coppice" backup "$work/files"   # nothing knows of it yet, and nothing is read of what is there
  status 1 "$coppice" check --read-data
  says "next backup stores anew"

  cp "$work/copy" "$pack"
  status 0 "$coppice" backup "$work/files"
  says "nothing changed, added"
  damage "$pack"
  status 0 "$coppice" backup "$work/files"   # the note went with the mending

  status 1 "$coppice" check --read-data
  status 3 "$coppice" backup "$work/files"
  says "gone from the vault, cut short or damaged"
  rm -rf "$work/back"
  status 0 "$coppice" restore "latest:$work/files" --to "$work/back"
  same "$work/files" "$work/back"
  status 3 "$coppice" backup "$work/files"   # the older snapshots still need it
  for id in $("$coppice" list --json | sed -n 's/.*"id": *"\([0-9a-f]*\)".*/\1/p' | head -n -2); do status 0 "$coppice" forget --yes "$id"; done
  status 0 "$coppice" backup "$work/files"
  status 0 "$coppice" check --read-data   # what only forgotten snapshots need is no damage
  says "only forgotten snapshots need it"
done
