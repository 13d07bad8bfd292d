# A vault of format 1 as the program once made it (tests/golden/vault1) opens, checks clean and restores for ever; and what is in it is found
# again: a large file backed up once more adds no data. COPPICE_REWRITE_GOLDEN=1 makes it anew.
. "$(dirname "$0")/lib.sh" "$1"
golden=$(readlink -f "$(dirname "$0")/../golden")/vault1
golden_files() {
  mkdir -p "$1/etc/deep/er" "$1/srv"
  for i in $(seq 1 30); do seq "$i" "$((i * 40))" > "$1/etc/file-$i"; done
  seq 1 400000 > "$1/srv/large"   # 2.7 MB: cut by content
  truncate -s 3000000 "$1/srv/holes"
  echo end >> "$1/srv/holes"
  echo hello > "$1/etc/deep/er/hello"
  ln -s ../etc/deep "$1/srv/link"
  ln "$1/etc/deep/er/hello" "$1/srv/second-name"
}
golden_files "$work/files"
echo "golden passphrase of format 1" > "$work/passphrase"
if [ -n "${COPPICE_REWRITE_GOLDEN:-}" ]; then
  new_vault
  # The path in the snapshot must not name this machine.
  mkdir -p /tmp/coppice-golden-source && cp -a "$work/files/." /tmp/coppice-golden-source/
  status 0 "$coppice" backup --host golden --tag first /tmp/coppice-golden-source
  echo more >> /tmp/coppice-golden-source/etc/file-1
  status 0 "$coppice" backup --host golden --tag second /tmp/coppice-golden-source
  rm -rf /tmp/coppice-golden-source "$golden"
  mkdir -p "$golden"
  cp -a "$work/vault" "$golden/vault"
  cp "$work/sheet" "$work/passphrase" "$golden/"
  cp "$(find "$COPPICE_CONFIG_DIR" -name '*.key' | head -n 1)" "$golden/host.key"
  chmod -R u+w "$golden"
  echo "wrote $golden instead of opening it"
  exit 0
fi
cp -a "$golden/vault" "$work/vault"
install -m 600 "$golden/host.key" "$golden/sheet" "$golden/passphrase" "$work/"   # a checkout does not keep their modes
for opened in "--passphrase-file $work/passphrase" "--recovery-sheet $work/sheet" "--key-file $work/host.key"; do
  status 0 "$coppice" list $opened
  says first
  says second
done
key="--key-file $work/host.key"
status 0 "$coppice" check --read-data $key
! grep -q "damage" "$work/out" || says "no damage"
first=$("$coppice" list --json --tag first $key | sed -n 's/.*"id": *"\([0-9a-f]*\)".*/\1/p' | head -n 1)
status 0 "$coppice" restore "$first:/tmp/coppice-golden-source" --to "$work/back" $key
same "$work/files" "$work/back"
[ "$work/back/srv/second-name" -ef "$work/back/etc/deep/er/hello" ] || die "a hard link became two files"
status 0 "$coppice" restore "latest:/tmp/coppice-golden-source/etc/file-1" --to "$work/one" $key
packs() { find "$work/vault/packs" -type f | wc -l; }
before=$(packs)
status 0 "$coppice" backup $key "$work/files/srv/large"
[ "$(packs)" = "$before" ] || die "data that the vault holds was stored again: ids, cuts or the index have changed"
