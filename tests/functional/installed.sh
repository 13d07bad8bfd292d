# `cmake --install` brings the program, its man page and the shell's completion; all three know every command. The pages of --help fit the terminal.
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
  for word in $commands in-place test-sheet COPPICE_VAULT "Exit status:"; do grep -q -e "$word" "$work/rendered" || die "the man page lacks $word"; done
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
offers() {  # offers WHAT WORDS...: exactly that is offered for the last of them
  local what=$1 got
  shift
  got=$(completed "$@")
  [ "$got" = "$what" ] || die "'$*' is completed by '$got', wanted '$what'"
}
offers "help" coppice he
offers "plan" coppice help pl
offers "run" coppice help plan ru
offers "reader" coppice init --host-role r
offers "owner reader writer keeper" coppice key add --role ""
offers "writer" coppice key export --role = wr
offers "share" coppice restore latest --to sh
offers "" coppice backup --tag sh                # a value of its own
offers "share" coppice backup --tag share sh     # and then sources again
offers "latest" coppice restore la
offers "share" coppice check --recovery-sheet sh
mkdir -p "$COPPICE_CONFIG_DIR"
printf '[plan.%s]\nsources = ["/etc"]\n' data database other > "$COPPICE_CONFIG_DIR/coppice.toml"
printf '[plan.elsewhere]\nsources = ["/etc"]\n' > "$work/another.toml"
for verb in run test due keep install uninstall; do offers "data database" "$work/prefix/bin/coppice" plan $verb da; done
offers "other" "$work/prefix/bin/coppice" status o
offers "elsewhere" "$work/prefix/bin/coppice" plan run --config "$work/another.toml" ""
offers "" "$work/prefix/bin/coppice" plan run --config "$work/nosuch.toml" da

# Names that lie in the vault, where it opens without a question; nothing else, and nothing that a shell would run.
new_vault --host-name this-host
mkdir "$work/some"
for tag in nightly night-two '$(touch${IFS}ran)'; do "$coppice" backup -q --host a-host --tag "$tag" "$work/some"; done
"$coppice" key export -q --role writer --name web1 --out "$work/web1.key" --passphrase-file "$work/passphrase"
installed=$work/prefix/bin/coppice
offers "web1" "$installed" key remove w
offers "this-host" "$installed" list --signer th
offers "a-host" "$installed" forget --host ""
offers "night-two nightly" "$installed" list --tag ""
[ ! -e ran ] || die "a tag was run as a command"
vault=$COPPICE_VAULT
COPPICE_VAULT=$work/nowhere offers "owner this-host web1" "$installed" key remove --vault "$vault" ""
COPPICE_VAULT=$work/nowhere offers "" "$installed" list --host ""
COPPICE_CONFIG_DIR=$work/no-keys offers "" "$installed" list --host ""
touch "two words"
offers "two words" coppice check --key-file two

# No line of help is wider than the terminal, and none lacks a word for that.
words_of() { sed 's/ \\$//' "$1" | tr -s ' \n' '\n\n' | sort; }
pages=("" plan key)
for word in $commands; do pages+=("$word"); done
for word in list test run due keep install uninstall; do pages+=("plan $word"); done
for word in list add export remove rotate test-sheet generate; do pages+=("key $word"); done
for page in "${pages[@]}"; do
  usage=$(COLUMNS=100 "$coppice" $page --help | sed -n '/^Usage: /,/^$/p' | tr -s ' \n' '  ' | sed 's/^Usage: //; s/ $//')
  [ -z "$page" ] || grep -qxF -e ".SS ${usage//-/\\-}" "$work/prefix/share/man/man1/coppice.1" || die "the man page has another synopsis than '$usage'"
  for columns in 60 80 100; do
    COLUMNS=$columns "$coppice" $page --help > "$work/help.$columns"
    awk -v width=$columns 'length > width { exit 1 }' "$work/help.$columns" || die "'coppice $page --help' is wider than $columns"
    cmp -s <(words_of "$work/help.60") <(words_of "$work/help.$columns") || die "'coppice $page --help' has other words at $columns columns"
  done
  env -u COLUMNS "$coppice" $page --help | cmp -s - "$work/help.80" || die "'coppice $page --help' is not as for 80 columns in a pipe"
done
"$coppice" plan run --help > "$work/out"
sed '1,/^Exit status:$/d' "$work/out" | grep '^  3  a snapshot was made' > /dev/null || die "plan run --help has no exit statuses: $(cat "$work/out")"
