# The Debian package has what it should, and with COPPICE_SOAK it is installed on a clean Debian 12 root, where it backs up, restores and goes.
. "$(dirname "$0")/lib.sh" "$1"
command -v cpack dpkg-deb dpkg-shlibdeps > /dev/null || exit 77
(cd "$work" && cpack --config "$(dirname "$tools")/CPackConfig.cmake" -B "$work/package" > "$work/out" 2>&1) || { cat "$work/out"; die "no package was made"; }
deb=$(find "$work/package" -maxdepth 1 -name 'coppice_*.deb')
[ -f "$deb" ] || die "no package was made: $(ls "$work/package")"

dpkg-deb -c "$deb" > "$work/list"
for path in usr/bin/coppice usr/share/man/man1/coppice.1.gz usr/share/bash-completion/completions/coppice etc/coppice/coppice.toml \
    usr/share/doc/coppice/copyright usr/share/doc/coppice/changelog.gz usr/share/doc/coppice/docs/operating/plans.md; do
  grep -q " \./$path\$" "$work/list" || die "the package lacks /$path"
done
! grep -v " root/root " "$work/list" || die "something belongs to another than root"
! grep -E '^.{5}w|^.{8}w' "$work/list" || die "others may write something"
dpkg-deb -f "$deb" > "$work/control"
for line in "Package: coppice" "Section: admin" "Depends: .*libsodium"; do grep -q "^$line" "$work/control" || die "the control file lacks '$line'"; done
dpkg-deb -e "$deb" "$work/scripts"
grep -qx /etc/coppice/coppice.toml "$work/scripts/conffiles" || die "the configuration is no conffile"
sh -n "$work/scripts/prerm"
mkdir -p "$work/etc/keys"
sed "s,/etc/coppice,$work/etc,g; s,/var/lib/coppice,$work/lib,g" "$work/scripts/postrm" > "$work/purge"
sh "$work/purge" purge > "$work/out"
says "left on purpose: $work/etc/keys"
[ -z "$(sh "$work/purge" remove)" ] || die "a removal that keeps the configuration speaks of keys"
dpkg-deb -x "$deb" "$work/tree"

[ -n "${COPPICE_SOAK:-}" ] && [ "$(id -u)" = 0 ] && command -v debootstrap > /dev/null || exit 0
root=$work/root
debootstrap --variant=minbase bookworm "$root" > "$work/out" 2>&1 || { tail "$work/out"; die "debootstrap"; }
mount -t proc proc "$root/proc"
trap 'umount "$root/proc"; rm -rf "$work"' EXIT
cp "$deb" "$root/coppice.deb"
inside() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"; }
inside apt-get update -qq
inside apt-get install -y -qq --no-install-recommends /coppice.deb > "$work/out" 2>&1 || { tail "$work/out"; die "it does not install"; }
echo "a passphrase for the root" > "$root/passphrase"
chmod 600 "$root/passphrase"
inside coppice init --vault /srv/vault --passphrase-file /passphrase --recovery-file /sheet
inside coppice backup --vault /srv/vault /etc
inside coppice restore --vault /srv/vault latest --to /back
diff -r --no-dereference "$root/etc" "$root/back/etc" || die "what came back is not what went in"
inside apt-get remove -y -qq coppice > "$work/out" 2>&1 || { tail "$work/out"; die "it does not go"; }
[ ! -e "$root/usr/bin/coppice" ] || die "the program is there still"
inside dpkg -P coppice > "$work/out" 2>&1 || { tail "$work/out"; die "it cannot be purged"; }
says "left on purpose: /etc/coppice/keys"
[ -n "$(ls "$root/etc/coppice/keys")" ] || die "a purge took the key away"
