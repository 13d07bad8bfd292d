#!/usr/bin/env bash
# The main job on this machine's real data: back up, change, back up again, list, restore, compare; figures shown.
set -euo pipefail
coppice=$(readlink -f "$1")
source=${2:-/usr/share}
work=$(mktemp -d "${TMPDIR:-/tmp}/coppice-try-XXXXXX")
trap 'rm -rf "$work"' EXIT
export HOME="$work" XDG_CONFIG_HOME="$work/config" XDG_STATE_HOME="$work/state" COPPICE_CONFIG_DIR="$work/config" COPPICE_STATE_DIR="$work/state"
export COPPICE_VAULT="$work/vault"
say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
run() { printf '$ coppice %s\n' "$*"; "$coppice" "$@"; }

say "A copy of $source to work on (nothing of this machine is changed)"
mkdir "$work/data"
cp -a "$source" "$work/data/"
du -sh "$work/data" | sed "s#$work/##"
sleep 3   # so that the files are older than the backup

say "A vault, encrypted from the start"
head -c 24 /dev/urandom | base64 > "$work/passphrase"
run init --passphrase-file "$work/passphrase" --recovery-file "$work/recovery-sheet"

say "The first backup"
run backup "$work/data"
du -sh "$work/vault" | sed "s#$work/##; s/\$/  (on disk)/"

say "Nothing changed: the second one"
run backup "$work/data"

say "Some change, a third one"
first=$(find "$work/data" -type f -size +1k | sort | sed -n 1p)
echo "a line more" >> "$first"
mkdir "$work/data/new"
head -c 3000000 /dev/urandom > "$work/data/new/photo.raw"
ln "$work/data/new/photo.raw" "$work/data/new/second-name.raw"
run backup "$work/data"
run list

say "Restore the newest, compare every byte"
run restore "latest:$work/data" --to "$work/restored"
diff -r --no-dereference "$work/data" "$work/restored"
echo "no difference"

say "Is the vault whole?"
run check --read-data
