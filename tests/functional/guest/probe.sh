# In the sandbox of plan data's service: each of these must fail, and what a backup needs must not.
failed=0
forbidden() { ! "$@" > /dev/null 2>&1 || { echo "not forbidden: $*"; failed=1; }; }
allowed() { "$@" > /dev/null || { echo "forbidden: $*"; failed=1; }; }
for place in /data /etc /etc/coppice /usr /usr/bin /var /var/lib /root /home /boot /srv /run; do forbidden touch "$place/written"; done
forbidden rm /data/a/file-1
forbidden chmod 600 /data/a/file-1
forbidden touch /data/a/file-1
forbidden ls /root/passphrase
forbidden mount -t tmpfs tmpfs /srv/vault
forbidden mount -o remount,rw /
forbidden umount /mnt/disk
forbidden mknod /srv/vault/device b 254 0
forbidden head -c 1 /dev/vda
forbidden date -s 2031-01-01
forbidden hostname other
forbidden chown 1234 /srv/vault
forbidden sh -c 'exec 3<> /dev/tcp/127.0.0.1/22'
forbidden unshare -n true
forbidden sh -c 'echo 1 > /proc/sys/vm/drop_caches'
forbidden dmesg
forbidden systemctl --no-ask-password start systemd-tmpfiles-clean.service
forbidden chmod u+s /srv/vault
allowed cat "/data/nobody's"
for place in /srv/vault /var/lib/coppice /var/log/coppice; do allowed touch "$place/written"; allowed rm "$place/written"; done
exit $failed
