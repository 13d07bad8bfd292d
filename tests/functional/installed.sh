# `cmake --install` brings the program, its man page and the shell's completion; all three know every command.
. "$(dirname "$0")/lib.sh" "$1"
cmake --install "$(dirname "$tools")" --component Unspecified --prefix "$work/prefix" > "$work/out" 2>&1 || { cat "$work/out"; die "it does not install"; }
[ -x "$work/prefix/bin/coppice" ] || die "there is no program"
gunzip -k "$work/prefix/share/man/man1/coppice.1.gz" || die "the man page is missing: $(find "$work/prefix" -type f)"
page=$work/prefix/share/man/man1/coppice.1
completion=$(find "$work/prefix" -path '*/bash-completion/completions/coppice')
[ -s "$page" ] && [ -s "$completion" ] || die "the man page or the completion is missing: $(find "$work/prefix" -type f)"
"$work/prefix/bin/coppice" version > /dev/null

commands=$("$coppice" --help | sed -n '/^Subcommands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
[ "$(wc -w <<< "$commands")" -ge 14 ] || die "--help does not list the commands: $commands"
if command -v groff > /dev/null; then
  groff -man -Tutf8 -ww "$page" > "$work/rendered" 2> "$work/err" || die "the man page is not roff"
  [ ! -s "$work/err" ] || die "the man page: $(head -n 3 "$work/err")"
  for word in $commands in-place test-sheet COPPICE_VAULT; do grep -q -e "$word" "$work/rendered" || die "the man page lacks $word"; done
fi
if command -v mandoc > /dev/null; then
  mandoc -T lint -W warning "$page" > "$work/out" || { head "$work/out"; die "mandoc has something to say"; }
fi

bash -n "$completion"
completed() {  # completed WORDS...: what the completion offers for the last of them
  bash -c 'set -- "${@}"; . "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _coppice; echo "${COMPREPLY[*]}"' "$completion" "$@"
}
cd "$work/prefix"
for word in $commands; do
  [[ " $(completed coppice "$word") " == *" $word "* ]] || die "'$word' is not completed"
done
[[ " $(completed coppice restore --in-) " == *" --in-place "* ]] || die "'--in-' is not completed"
[[ " $(completed coppice key ro) " == *" rotate "* ]] || die "'key ro' is not completed"
[[ " $(completed coppice key rotate --pass) " == *" --passphrase-file "* ]] || die "'key rotate --pass' is not completed"
[[ " $(completed coppice backup sh) " == *" share "* ]] || die "a directory is not completed"
