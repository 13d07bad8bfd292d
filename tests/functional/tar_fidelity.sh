# What tar's plain fields cannot hold comes back through GNU tar all the same: ACLs, extended attributes, holes, names of any bytes;
# and an ordinary tree makes it say nothing.
. "$(dirname "$0")/lib.sh" "$1"
new_vault
tree="$work/tree"
mkdir -p "$tree/sub/directory"
echo plain > "$tree/sub/plain"
echo umlaut > "$tree/sub/$(printf 'f\303\244')"
ln "$tree/sub/$(printf 'f\303\244')" "$tree/sub/linked"
ln -s "$(printf 'f\303\244')" "$tree/sub/symlink"
truncate -s 40M "$tree/sub/sparse"
printf 'in the middle' | dd of="$tree/sub/sparse" bs=1 seek=20000000 conv=notrunc status=none
truncate -s 10M "$tree/sub/hole"
chmod 2750 "$tree/sub"
acls=no
if setfacl -m u:1234:rwx,g:4321:r "$tree/sub/plain" 2> /dev/null && setfacl -d -m u:1234:rwx "$tree/sub/directory" 2> /dev/null; then acls=yes; fi
setfattr -n user.note -v 'a value' "$tree/sub/plain" 2> /dev/null || true
status 0 "$coppice" backup -q "$tree"

status 0 "$coppice" tar "latest:$tree/sub" -o "$work/sub.tar"
[ "$(stat -c %s "$work/sub.tar")" -lt 1000000 ] || die "holes were written out: $(stat -c %s "$work/sub.tar") bytes"
mkdir -m 0711 "$work/unpacked"
tar --acls --xattrs -C "$work/unpacked" -xpf "$work/sub.tar" 2> "$work/err" || die "tar: $(cat "$work/err")"
[ ! -s "$work/err" ] || die "tar said: $(cat "$work/err")"
same "$tree/sub" "$work/unpacked"
[ "$(stat -c %a "$work/unpacked")" = 2750 ] || die "the directory itself came back as $(stat -c %a "$work/unpacked")"
[ "$(stat -c %b "$work/unpacked/sparse")" -lt 1000 ] || die "the sparse file came back full"
[ "$(stat -c %i "$work/unpacked/linked")" = "$(stat -c %i "$work/unpacked/$(printf 'f\303\244')")" ] || die "the hard link was lost"
if [ $acls = yes ]; then
  for name in plain directory; do
    [ "$(cd "$tree/sub" && getfacl -n "$name")" = "$(cd "$work/unpacked" && getfacl -n "$name")" ] || die "the ACL of $name was lost"
  done
fi
[ "$(getfattr -d "$tree/sub/plain" 2> /dev/null | tail -n +2)" = "$(getfattr -d "$work/unpacked/plain" 2> /dev/null | tail -n +2)" ] ||
  die "extended attributes were lost"

# A name that is not UTF-8 is marked as binary, and it alone; what tar cannot hold is named with its whole path.
touch "$tree/sub/$(printf 'bad-\377')"
python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$tree/sub/socket" || mkfifo "$tree/sub/socket"
status 0 "$coppice" backup -q "$tree"
status 3 "$coppice" tar "latest:$tree/sub" -o "$work/bad.tar"
says "$tree/sub/socket: a socket"
[ "$(strings "$work/bad.tar" | grep -c hdrcharset=BINARY)" = 1 ] || die "not one name alone is marked as binary"

# Standard output is the archive's alone; what else is to be told goes to standard error.
"$coppice" tar "latest:$tree/sub" --json > "$work/stdout.tar" 2> "$work/err" || [ $? = 3 ] || die "tar --json failed"
tar -tf "$work/stdout.tar" > /dev/null 2>&1 || die "standard output is not an archive"
grep -q '"type":"summary"' "$work/err" || die "no summary on standard error"
status 1 "$coppice" tar ffffffff --json > "$work/nothing"
[ ! -s "$work/nothing" ] || die "an error was written into the archive"

# A file of terabytes that is nothing but a hole and its end takes no time.
mkdir "$work/vast"
if truncate -s 3T "$work/vast/file" 2> /dev/null && printf end | dd of="$work/vast/file" bs=1 seek=3298534883325 conv=notrunc status=none; then
  status 0 "$coppice" backup "$work/vast"
  timeout 60 "$coppice" tar "latest:$work/vast" > "$work/vast.tar" || die "a hole of 3 TiB takes more than a minute"
  tar -tvf "$work/vast.tar" > "$work/listing"
  grep -q ' 3298534883328 .*file$' "$work/listing" || die "$(cat "$work/listing")"
  [ "$(stat -c %s "$work/vast.tar")" -lt 100000 ] || die "holes were written out"
fi
