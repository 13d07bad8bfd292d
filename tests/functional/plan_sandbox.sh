# What the service of a plan may do is enough: its capabilities and its writable places, taken from the unit, and nothing else.
. "$(dirname "$0")/lib.sh" "$1"
[ "$(id -u)" = 0 ] && command -v setpriv > /dev/null && unshare -m --propagation private true 2> /dev/null || exit 77
new_vault
mkdir "$work/data" "$work/data/private" "$work/units" "$work/log"
echo open > "$work/data/file"
echo secret > "$work/data/private/file"
chmod 000 "$work/data/private/file" "$work/data/private"
chown -R 65534 "$work/data/private"
setfattr -n trusted.note -v kept "$work/data/file" 2> /dev/null || echo "no trusted attributes on this file system"
cat > "$COPPICE_CONFIG_DIR/coppice.toml" <<TEXT
vault = "$COPPICE_VAULT"
[plan.data]
sources = ["$work/data"]
schedule = "08:00"
log = "$work/log/data.log"
keep = { last = 1 }
TEXT
status 0 "$coppice" plan install --unit-dir "$work/units" data
unit="$work/units/coppice-plan-data.service"
capabilities=$(sed -n 's/^CapabilityBoundingSet=//p' "$unit" | tr 'A-Z' 'a-z' | sed 's/cap_/+/g; s/ /,/g')
[ -n "$capabilities" ] || die "the unit says nothing of capabilities: $(cat "$unit")"
cat > "$work/inside.sh" <<'SH'
set -e
sed -n 's/^ReadWritePaths=-//p' "$1" | while read -r place; do mount --bind "$place" "$place"; done
around=$(findmnt -n -o TARGET -T "$2")
mount -o remount,bind,ro "$around"
! touch "$2/written" 2> /dev/null || { echo "the source can be written to"; exit 9; }
eval "exec setpriv --no-new-privs --bounding-set=-all,$3 $(sed -n 's/^ExecStart=//p' "$1")"
SH
mkdir -p "$COPPICE_STATE_DIR"
for _ in 1 2; do
  status 0 unshare -m --propagation private bash "$work/inside.sh" "$unit" "$work/data" "$capabilities"
  says "plan data: snapshot"
done
[ "$("$coppice" list --json | wc -l)" = 1 ] || die "the keep rules were not applied"
status 0 "$coppice" restore "latest:$work/data" --to "$work/back"
same "$work/data" "$work/back"
[ "$(getfattr --only-values -n trusted.note "$work/data/file" 2> /dev/null)" = "$(getfattr --only-values -n trusted.note "$work/back/file" 2> /dev/null)" ] ||
  die "a trusted attribute was not taken"
