# Plays each thief of docs/trust.md with what he has stolen: what is said that he can do works, what is said that he cannot is refused.
. "$(dirname "$0")/lib.sh" "$1"
new_vault
mkdir "$work/files"
echo "a very secret sentence" > "$work/files/telling-name"
mkdir "$work/files/telling-folder"
head -c 300000 /dev/urandom > "$work/files/telling-folder/large"
owner="--passphrase-file $work/passphrase"
for role in reader writer keeper; do
  status 0 "$coppice" key add --role $role --name "$role-1" --out "$work/$role.key" $owner
done
status 0 "$coppice" backup "$work/files" --host telling-host --tag telling-tag
status 0 "$coppice" backup "$work/files" --key-file "$work/writer.key"
thief() {  # thief N STATUS COMMAND...: on a machine of his own, with a copy of the vault and whatever he stole
  local who=$1 wanted=$2
  shift 2
  mkdir -p "$work/thief-$who"
  status "$wanted" env HOME="$work/thief-$who" COPPICE_CONFIG_DIR="$work/thief-$who/config" COPPICE_STATE_DIR="$work/thief-$who/state" COPPICE_VAULT="${vault:-$work/vault}" "$coppice" "$@"
}
snapshots() { "$coppice" list --json | grep -c '"type":"snapshot"'; }
copy_vault() { rm -rf "$work/$1"; cp -a "$work/vault" "$work/$1"; }

# The vault alone: nothing that names or tells; no command but version and test-sheet answers without a key.
for word in "telling-name" "telling-folder" "telling-host" "telling-tag" "very secret" "$work/files" "passphrase of some length"; do
  [ -z "$(grep -rlF -- "$word" "$work/vault")" ] || die "'$word' can be read in the vault"
done
for command in "list" "ls latest" "restore latest --to $work/stolen" "check" "backup $work/files" "key list"; do
  thief alone 1 $command < /dev/null
done
echo "a guess at the passphrase" > "$work/guess"
chmod 0600 "$work/guess"
thief alone 1 list --passphrase-file "$work/guess"

# A writer's key: he adds, and learns that a chunk is there; he reads, forgets, and lets in nothing.
before=$(snapshots)
thief writer 0 backup "$work/files" --key-file "$work/writer.key" --json
added=$(sed -n 's/.*"added_plain":\([0-9]*\).*/\1/p' "$work/out")
[ "$added" -lt 10000 ] || die "the writer's own chunks are not recognised: $added bytes added"
[ "$(snapshots)" = $((before + 1)) ] || die "a writer's snapshot does not count"
thief writer 0 list --key-file "$work/writer.key"
! grep -q "telling" "$work/out" || die "a writer learns what a snapshot holds"
id=$("$coppice" list --json | sed -n 's/.*"short_id":"\([0-9a-f]*\)".*/\1/p' | head -1)
for command in "ls $id" "cat $id:$work/files/telling-name" "restore $id --to $work/stolen" "tar $id" "find telling" "diff $id latest" \
  "forget --yes $id" "key add --name x --role reader --out $work/x.key" "key remove --yes reader-1" "key rotate" "key export --role reader --name y --out $work/y.key"; do
  thief writer 1 $command --key-file "$work/writer.key"
done
[ ! -e "$work/stolen" ] && [ ! -e "$work/x.key" ] && [ ! -e "$work/y.key" ] || die "a writer got something"
thief writer 1 forget "$id" --key-file "$work/writer.key" < /dev/null   # refused before it is asked
says "writer's: it may not forget"
# In another host's name: seen in the list, and not chosen unasked.
name=$("$coppice" list --json | sed -n 's/.*"signer":"\([^"]*\)".*/\1/p' | head -1)
status 0 "$coppice" backup -q "$work/files" --host "$name"
thief writer 0 backup -q "$work/files" --host "$name" --key-file "$work/writer.key"
status 1 "$coppice" ls latest --host "$name"
says "is signed by writer-1"
status 0 "$coppice" ls latest --host "$name" --signer "$name"
status 0 "$coppice" list
says "(by writer-1)"
before=$(($(snapshots) - 1))

# A keeper's key: he forgets, and neither reads nor writes nor lets in.
thief keeper 0 list --key-file "$work/keeper.key"
! grep -q "telling" "$work/out" || die "a keeper learns what a snapshot holds"
thief keeper 0 check --read-data --key-file "$work/keeper.key"
for command in "ls $id" "restore $id --to $work/stolen" "backup $work/files" "key rotate" "key add --name x --role keeper --out $work/x.key"; do
  thief keeper 1 $command --key-file "$work/keeper.key"
done
newest=$("$coppice" list --json | sed -n 's/.*"short_id":"\([0-9a-f]*\)".*/\1/p' | tail -1)
thief keeper 0 forget --yes "$newest" --key-file "$work/keeper.key"
[ "$(snapshots)" = "$before" ] || die "a keeper's forget does not count"

# A reader's key: he reads all, writes, forgets, and lets in nobody.
thief reader 0 restore "$id" --to "$work/stolen" --key-file "$work/reader.key"
[ "$(cat "$work/stolen$work/files/telling-name")" = "a very secret sentence" ] || die "a reader cannot read"
for command in "key add --name x --role reader --out $work/x.key" "key remove --yes writer-1" "key rotate"; do
  thief reader 1 $command --key-file "$work/reader.key"
done

# Removed and rotated: what comes after is kept from them, what was there before stays theirs where they have a copy.
copy_vault copy
status 0 "$coppice" key remove --yes reader-1 $owner
status 0 "$coppice" key remove --yes writer-1 $owner
status 0 "$coppice" key rotate $owner
echo "a later secret" > "$work/files/later"
status 0 "$coppice" backup "$work/files"
later=$("$coppice" list --json | sed -n 's/.*"short_id":"\([0-9a-f]*\)".*/\1/p' | tail -1)
thief writer 1 backup "$work/files" --key-file "$work/writer.key"
thief reader 1 backup "$work/files" --key-file "$work/reader.key"
thief reader 1 cat "$later:$work/files/later" --key-file "$work/reader.key"
! grep -q "later secret" "$work/out" || die "a removed reader reads what came after"
vault="$work/copy" thief elsewhere 0 cat "$id:$work/files/telling-name" --key-file "$work/reader.key"
[ "$(cat "$work/out")" = "a very secret sentence" ] || die "what was stolen before should stay readable"

# A removed key: what it signs afterwards counts nowhere, whatever was prepared for it: a name far ahead, a session begun and kept open, garbage
# where the next session would be. And what a reader's key forgot stays forgotten, or is listed again, as the owner says.
for role in writer reader; do status 0 "$coppice" key add --role $role --name "$role-2" --out "$work/$role-2.key" $owner; done
thief writer 0 backup -q "$work/files" --key-file "$work/writer-2.key"
copy_vault prepared
echo evil > "$work/files/evil"
vault="$work/prepared" thief writer 0 backup -q "$work/files" --key-file "$work/writer-2.key"
open_slot=$(ls "$work/prepared/generations/0/slots" | sort -n | tail -n 1)
cp "$work/prepared/generations/0/slots/$open_slot" "$work/vault/generations/0/slots/"
: > "$work/vault/generations/0/slots/$((open_slot + 1))"
: > "$work/vault/generations/0/slots/1000000"
before=$(snapshots)
whole=$(ls "$work/vault/snapshots")
status 0 "$coppice" key remove writer-2 --yes $owner
vault="$work/prepared" thief writer 0 backup -q "$work/files" --key-file "$work/writer-2.key"
: > "$work/prepared/generations/0/slots/999999"
vault="$work/prepared" thief writer 0 backup -q "$work/files" --key-file "$work/writer-2.key"
for kind in generations packs trees lists index snapshots; do cp -rn "$work/prepared/$kind" "$work/vault/"; done
void=$(comm -13 <(echo "$whole" | sort) <(ls "$work/vault/snapshots" | sort))
[ "$(wc -w <<< "$void")" = 3 ] || die "the thief's snapshots did not get into the vault: $void"
[ "$(snapshots)" = "$before" ] || die "a removed key made a snapshot"
status 3 "$coppice" list
says "had committed no session 0.$open_slot when its key was removed: it is no snapshot, and nothing is lost by moving it out of the vault"
for name in $void; do rm "$work/vault/snapshots/$name"; done
rm "$work/files/evil"
id=$("$coppice" list --json | sed -n 's/.*"short_id":"\([0-9a-f]*\)".*/\1/p' | tail -n 1)
gone=$("$coppice" list --json | sed -n 's/.*"short_id":"\([0-9a-f]*\)".*/\1/p' | head -n 1)
thief reader 0 forget --yes "$gone" --key-file "$work/reader-2.key"
[ "$(snapshots)" = $((before - 1)) ] || die "a reader could not forget"
status 0 "$coppice" key remove reader-2 --yes $owner
says "1 snapshot that it forgot stays forgotten"
[ "$(snapshots)" = $((before - 1)) ] || die "what a removed reader forgot is listed again"
status 0 "$coppice" key add --role reader --name reader-3 --out "$work/reader-3.key" $owner
gone=$("$coppice" list --json | sed -n 's/.*"short_id":"\([0-9a-f]*\)".*/\1/p' | head -n 1)
thief reader 0 forget --yes "$gone" --key-file "$work/reader-3.key"
status 0 "$coppice" key remove reader-3 --yes --undo-forgets $owner
[ "$(snapshots)" = $((before - 1)) ] || die "what a stolen key forgot is not listed again"
status 0 "$coppice" list
status 0 "$coppice" forget --yes "$gone"
[ "$(snapshots)" = $((before - 2)) ] || die "it cannot be forgotten any more"
status 0 "$coppice" backup -q "$work/files"
before=$(snapshots)

# The copy from before put back in the vault's place: who has seen the newer roster refuses it; who has not cannot notice.
mv "$work/vault" "$work/newer" && mv "$work/copy" "$work/vault"
status 1 "$coppice" list
says "rolled back"
thief newcomer 0 list $owner
rm -rf "$work/vault" && mv "$work/newer" "$work/vault"

# A withheld snapshot: its own host misses it at the next backup.
mkdir "$work/withheld"
for object in $(ls -t "$work/vault/snapshots" | head -1); do mv "$work/vault/snapshots/$object" "$work/withheld/"; done
status 3 "$coppice" backup "$work/files"
says "no longer holds"

# The passphrase is nothing without its slot, the sheet needs none.
copy_vault slotless
rm -rf "$work/slotless/keys"
vault="$work/slotless" thief passphrase 1 list $owner
vault="$work/slotless" thief passphrase 1 list --key-file "$work/keeper.key"
vault="$work/slotless" thief sheet 0 cat "$id:$work/files/telling-name" --recovery-sheet "$work/sheet"
[ "$(cat "$work/out")" = "a very secret sentence" ] || die "the sheet does not open a vault without slots"

# The passphrase, or the sheet: the owner in everything.
thief passphrase 0 key add --name stranger --role owner --out "$work/stranger.key" $owner
thief sheet 0 key add --name stranger-2 --role owner --out "$work/stranger-2.key" --recovery-sheet "$work/sheet"
thief sheet 0 restore "$id" --to "$work/all" --recovery-sheet "$work/sheet"
thief sheet 0 forget --yes "$id" --recovery-sheet "$work/sheet"
# Another vault's keys and sheet open nothing here.
COPPICE_VAULT="$work/other" COPPICE_CONFIG_DIR="$work/o" COPPICE_STATE_DIR="$work/o" "$coppice" init -q --passphrase-file "$work/passphrase" --recovery-file "$work/other-sheet"
thief other 1 list --recovery-sheet "$work/other-sheet"
thief other 1 list --key-file "$(find "$work/o" -name '*.key' | head -1)"
