# Who may pass through a directory but not list it backs up what lies below without a warning.
. "$(dirname "$0")/lib.sh" "$1"
[ "$(id -u)" = 0 ] && command -v setpriv > /dev/null || { echo "skipped: needs root and setpriv"; exit 0; }
chmod 755 "$work"
mkdir -p "$work/closed/mine/below" "$work/user"
echo text > "$work/closed/mine/below/file"
chmod 711 "$work/closed"
cp "$work/passphrase" "$work/user/passphrase"
chown -R 65534:65534 "$work/closed/mine" "$work/user"
export HOME="$work/user/home" COPPICE_CONFIG_DIR="$work/user/config" COPPICE_STATE_DIR="$work/user/state" COPPICE_VAULT="$work/user/vault"
as_user() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
as_user test -x "$coppice" || { echo "skipped: the program cannot be reached by others"; exit 0; }
status 0 as_user "$coppice" init -q --passphrase-file "$work/user/passphrase" --recovery-file "$work/user/sheet"
status 0 as_user "$coppice" backup "$work/closed/mine"
status 0 as_user "$coppice" cat "latest:$work/closed/mine/below/file"
says text
