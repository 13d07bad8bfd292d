# With COPPICE_SOAK: the package and its plans under a real systemd, in a Debian 12 guest. The guest boots twice: first a day's work by hand and by
# timer, its clock set past the hour; then, days later and without its second disk, what was missed, and the package's removal.
# What happens inside stands in guest/first_boot.sh and guest/second_boot.sh. COPPICE_GUEST_ACCEL=kvm where that works.
. "$(dirname "$0")/lib.sh" "$1"
[ -n "${COPPICE_SOAK:-}" ] || { echo "skipped: runs with COPPICE_SOAK=1"; exit 77; }
[ "$(id -u)" = 0 ] && command -v cpack debootstrap dpkg-shlibdeps qemu-system-x86_64 mkfs.ext4 > /dev/null || exit 77
[ "$(dpkg --print-architecture)" = amd64 ] || { echo "skipped: the guest is amd64"; exit 77; }
use_plain_build
guest=$(dirname "$(readlink -f "$0")")/guest
(cd "$work" && cpack --config "$(dirname "$(dirname "$coppice")")/CPackConfig.cmake" -B "$work/package" > "$work/out" 2>&1) || { cat "$work/out"; die "no package was made"; }

# The root: Debian from where this host has it, the package with what it depends on, plans, data.
root=$work/root
mirror=$(apt-get indextargets --format '$(REPO_URI)' "Created-By: Packages" "Component: main" "Codename: bookworm" 2> /dev/null | head -n 1)
debootstrap --variant=minbase --include=systemd-sysv,udev,dbus bookworm "$root" $mirror > "$work/out" 2>&1 || { tail "$work/out"; die "debootstrap"; }
mount -t proc proc "$root/proc"
trap 'umount "$root/proc" "$work/mount" 2> /dev/null || :; rm -rf "$work"' EXIT
cp "$work"/package/coppice_*.deb "$root/root/coppice.deb"
inside() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"; }
inside apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-unsafe-io linux-image-cloud-amd64 tzdata /root/coppice.deb > "$work/out" 2>&1 ||
  { tail "$work/out"; die "it does not install"; }
umount "$root/proc"
rm -rf "$root"/var/cache/apt/*.bin "$root"/var/lib/apt/lists/*
mv "$root"/boot/vmlinuz-* "$work/kernel"
mv "$root"/boot/initrd.img-* "$work/initrd"
echo guest > "$root/etc/hostname"
install -D -t "$root/usr/local/lib/guest" "$guest"/*.sh
cp "$guest/coppice.toml" "$root/etc/coppice/coppice.toml"
some_files "$root/data"
install -m 000 -o 65534 /dev/null "$root/data/nobody's"
install -m 4750 -o 1234 -g 4321 /bin/true "$root/data/suid"
touch "$root/data/$(printf 'caf\351 \001')"
mkdir "$root/mnt/disk" "$root/mnt/frozen" "$root/srv/slow" "$work/disk"
echo "/dev/vdb /mnt/disk ext4 nofail,x-systemd.device-timeout=20s 0 0" > "$root/etc/fstab"
some_files "$work/disk/files"
cat > "$root/etc/systemd/system/guest.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
ExecStart=/bin/bash /usr/local/lib/guest/boot.sh
StandardOutput=file:/dev/ttyS0
[Install]
WantedBy=multi-user.target
UNIT
inside systemctl -q enable guest.service
inside systemctl -q mask serial-getty@ttyS0.service   # which would hang up the line
mkfs.ext4 -q -d "$root" "$work/root.img" 2G > /dev/null 2>&1 || die "mkfs.ext4"
mkfs.ext4 -q -d "$work/disk" "$work/disk.img" 64M > /dev/null 2>&1 || die "mkfs.ext4"
rm -rf "$root"

boot() {  # boot SCRIPT CLOCK DISK...: until it is off; what it says is on the test's output
  local script=$1 clock=$2 disks=() disk
  shift 2
  for disk in "$@"; do disks+=(-drive "file=$work/$disk.img,format=raw,if=virtio,cache=unsafe"); done
  timeout 1500 qemu-system-x86_64 -machine "q35,accel=${COPPICE_GUEST_ACCEL:-tcg}" -cpu max -smp 2 -m 1024 -nodefaults -no-reboot -display none -nic none \
    -rtc "base=$clock" -serial "file:$work/serial" -kernel "$work/kernel" -initrd "$work/initrd" "${disks[@]}" \
    -append "console=ttyS0 quiet root=/dev/vda rw systemd.show_status=0 guest=$script" < /dev/null || echo "the guest was stopped"
  sed 's/\r$//' "$work/serial"
  grep -q "^guest: done" "$work/serial" || die "$script did not come to its end"
}

boot first_boot.sh 2031-05-06T02:00:00 root disk
# What the guest restored, by a comparer that shares no code with the program.
mkdir "$work/mount"
mount -o loop,ro "$work/root.img" "$work/mount"
"$tools/treecmp" --no-atime "$work/mount/data" "$work/mount/var/back/data" || die "what the guest restored differs"
umount "$work/mount"
boot second_boot.sh 2031-05-12T00:20:00 root
