# Run by guest.service in the guest: the script that the kernel's command line names; then the power goes off.
script=$(sed 's/.*guest=\([^ ]*\).*/\1/' /proc/cmdline)
export HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin
if bash "/usr/local/lib/guest/$script"; then
  echo "guest: done"
else
  echo "guest: FAILED, see above; the journal of the plans:"
  journalctl --no-pager -o cat -u 'coppice-plan-*' | tail -n 60
fi
systemctl --no-block poweroff
