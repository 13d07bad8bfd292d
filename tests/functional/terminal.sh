# On a terminal: the passphrase is asked for twice and not shown, the recovery sheet appears there and nowhere else, its words can be typed.
. "$(dirname "$0")/lib.sh" "$1"
cat > "$work/drive.py" <<'PY'
# drive.py RECORD ANSWERS COMMAND...: runs COMMAND on a terminal of its own; types each "prompt=answer" of ANSWERS when prompt appears.
import fcntl, os, pty, select, struct, sys, termios
record, answers, command = sys.argv[1], open(sys.argv[2]).read().splitlines(), sys.argv[3:]
pid, terminal = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, int(os.environ.get("WIDTH", "80")), 0, 0))
    os.execv(command[0], command)
seen, since = b"", 0
pending = [a.split("=", 1) for a in answers]
while True:
    ready, _, _ = select.select([terminal], [], [], 60)
    if not ready:
        print("nothing for a minute; so far:", seen.decode(errors="replace"))
        sys.exit(99)
    try:
        data = os.read(terminal, 4096)
    except OSError:
        break
    if not data:
        break
    seen += data
    if pending and pending[0][0].encode() in seen[since:]:
        since = len(seen)
        os.write(terminal, pending.pop(0)[1].encode().decode("unicode_escape").encode("latin-1"))
open(record, "wb").write(seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PY
on_terminal() {  # on_terminal STATUS ANSWERS COMMAND...
  local wanted=$1 got=0
  printf '%b' "$2" > "$work/answers"
  shift 2
  python3 "$work/drive.py" "$work/seen" "$work/answers" "$@" || got=$?
  [ "$got" = "$wanted" ] || { cat "$work/seen" >&2; die "'$*' ended with $got on a terminal, wanted $wanted"; }
}
secret="a secret that is typed"
on_terminal 1 "owner: =\\\\x03\n" "$coppice" init                       # Ctrl-C at the prompt
[ ! -e "$work/vault" ] || die "an init given up left something"
on_terminal 0 "owner: =$secret\\\\n\nagain: =something else\\\\n\nowner: =$secret\\\\n\nagain: =$secret\\\\n\n" "$coppice" init
! grep -q "secret that" "$work/seen" || die "the passphrase was shown"
grep -q differ "$work/seen" || die "two different passphrases passed"
tr -d '\r' < "$work/seen" > "$work/sheet"
status 0 "$coppice" key test-sheet "$work/sheet"

status 2 "$coppice" init --vault "$work/other" --passphrase-file "$work/passphrase"   # a pipe: no sheet into it
[ ! -e "$work/other" ] || die "an init that was refused left something"
says "recovery-file"

words=$(python3 - "$work/sheet" <<'PY'
import re, sys
found = re.findall(r"\b(\d+)[.:)]?\s+([bdfghjklmnprstvz][aiou][bdfghjklmnprstvz][aiou][bdfghjklmnprstvz])\b", open(sys.argv[1]).read())
print(" ".join(w for _, w in sorted((int(n), w) for n, w in found)))
PY
)
[ "$(wc -w <<< "$words")" = 18 ] || die "the sheet shows $(wc -w <<< "$words") words"
on_terminal 0 "shown): =$words\\\\n\n" "$coppice" key test-sheet
! grep -q "${words%% *}" "$work/seen" || die "the words were shown"
on_terminal 0 "shown): =${words% * *}\\\\n\n16 of 18 words; the next: =$(cut -d' ' -f17- <<< "$words")\\\\n\n" "$coppice" key test-sheet   # in two lines
on_terminal 1 "y/N]=n\\\\n\n" "$coppice" key remove owner --recovery-sheet="$work/sheet"
grep -q "last owner" "$work/seen" || die "the last owner goes without a question"
on_terminal 0 "passphrase: =$secret\\\\n\n" "$coppice" key rotate
# A slip is no reason to begin again: three times it is asked.
on_terminal 0 "passphrase: =wrong\\\\n\npassphrase: =$secret\\\\n\n" "$coppice" key rotate
grep -q "opens no key" "$work/seen" || die "a wrong passphrase is not told"
on_terminal 1 "passphrase: =wrong\\\\n\npassphrase: =wrong\\\\n\npassphrase: =wrong\\\\n\n" "$coppice" key rotate
on_terminal 1 "passphrase: =wrong\\\\n\npassphrase: =\\\\x03\n" "$coppice" key rotate
misspelt=$(cut -d' ' -f1-6 <<< "$words")" xxxxx $(cut -d' ' -f8- <<< "$words")"
on_terminal 0 "shown): =$misspelt\\\\n\n6 of 18 words; the next: =$(cut -d' ' -f7- <<< "$words")\\\\n\n" "$coppice" key test-sheet
grep -q "word 7 is wrong" "$work/seen" || die "it is not told which word is wrong"
swapped="$(cut -d' ' -f2 <<< "$words") $(cut -d' ' -f1 <<< "$words") $(cut -d' ' -f3- <<< "$words")"
on_terminal 0 "shown): =$swapped\\\\n\nshown): =$words\\\\n\n" "$coppice" key test-sheet
grep -q "do not fit together" "$work/seen" || die "a checksum that fails is not told"
on_terminal 1 "shown): =$swapped\\\\n\nshown): =$swapped\\\\n\nshown): =$swapped\\\\n\n" "$coppice" key test-sheet
mkdir "$work/files" && echo x > "$work/files/$(printf 'bell-\a')"
status 0 "$coppice" backup "$work/files"
on_terminal 0 "" "$coppice" ls -R latest
grep -q 'bell-\\x07' "$work/seen" || die "a control character reaches the terminal"

# What the sheet says to type is what works, on a host that has nothing but the sheet.
command_of() { sed -n "/^  coppice $1/,/--vault/p" "$work/sheet"; }
as_the_sheet_says() {  # as_the_sheet_says STATUS ANSWERS COMMAND-WORDS
  mkdir -p "$work/new-host" "$work/bin"
  ln -sf "$coppice" "$work/bin/coppice"
  on_terminal "$1" "$2" "$(command -v env)" -u COPPICE_VAULT HOME="$work/new-host" COPPICE_CONFIG_DIR="$work/new-host/config" \
    COPPICE_STATE_DIR="$work/new-host/state" PATH="$work/bin:$PATH" bash -c "cd '$work/new-host' && $(command_of "$3")"
}
as_the_sheet_says 0 "shown): =$words\\\\n\n" "key test-sheet"
as_the_sheet_says 0 "shown): =$words\\\\n\n" "restore"
grep -q "$(sed -n 's/^Fingerprint: //p' "$work/sheet")" "$work/seen" || die "the fingerprint to compare is not shown"
same "$work/files" "$work/new-host/restored$work/files"
more=${words/ / bogus }
as_the_sheet_says 1 "shown): =$more\\\\n\nshown): =$more\\\\n\nshown): =$more\\\\n\n" "restore"
status 0 "$coppice" restore latest --to "$work/from-stdin" --recovery-sheet=- < "$work/sheet"
status 0 "$coppice" restore latest --to "$work/from-stdin" --recovery-sheet - < "$work/sheet"
same "$work/files" "$work/from-stdin$work/files"


# A list fits the terminal; a long list of sources gives way.
mkdir -p "$work"/files/a-directory-with-a-long-name/{one,two,three,four}
status 0 "$coppice" backup --tag some-tag --host a-host.example.org "$work"/files/a-directory-with-a-long-name/*
for width in 80 120; do
  WIDTH=$width on_terminal 0 "" "$coppice" list
  grep -q ' +[1-3]' "$work/seen" || die "the long list of sources is not shortened"
  tr -d '\r' < "$work/seen" | awk -v width=$width 'length > width { exit 1 }' || die "the list is wider than $width"
done
for width in 60 90; do
  WIDTH=$width on_terminal 0 "" "$(command -v env)" -u COLUMNS "$coppice" restore --help
  widest=$(tr -d '\r' < "$work/seen" | awk '{ if (length > most) most = length } END { print most }')
  [ "$widest" -le $width ] && [ "$widest" -gt $((width - 15)) ] || die "on $width columns the help has $widest"
done
cat > "$COPPICE_CONFIG_DIR/coppice.toml" <<TOML
vault = "$COPPICE_VAULT"
[plan.a-plan-with-a-long-name]
sources = ["$work/files/a-directory-with-a-long-name", "/etc"]
schedule = "Mon..Fri *-*-* 08:00/15:00"
timezone = "Europe/Berlin"
TOML
status 0 "$coppice" key export --role writer --name a-host-with-a-long-name.example.org --out "$work/w.key" --recovery-sheet "$work/sheet"
fits() {  # fits STATUS WORDS...: at 60 columns; prints what it says
  local wanted=$1
  shift
  WIDTH=60 on_terminal "$wanted" "" "$coppice" "$@"
  tr '\r' '\n' < "$work/seen" | awk 'length > 60 { exit 1 }' || { cat "$work/seen"; die "'$*' is wider than 60"; }
}
fits 0 key list
grep -q "writer.*key file.*20" "$work/seen" || die "a key is told otherwise"
fits 1 status
grep -q "a-plan.* NOT GOOD" "$work/seen" || die "the status is gone"
fits 0 plan list
grep -q "a-plan.*never ran" "$work/seen" || die "a plan is told otherwise"
fits 0 check
WIDTH=60 on_terminal 0 "" "$coppice" stats
sed '1,/^HOST/d' "$work/seen" | tr -d '\r' | awk 'length > 60 { exit 1 }' || die "the hosts are wider than 60"
on_terminal 1 "y/N]=n\\\\n\n" "$coppice" key remove a-host-with-a-long-name.example.org --recovery-sheet="$work/sheet"
tr -s '\r\n' '  ' < "$work/seen" | grep "does not take back" > /dev/null || die "what removing does not do is not told"
on_terminal 0 "y/N]=y\\\\n\n" "$coppice" key remove a-host-with-a-long-name.example.org --recovery-sheet="$work/sheet"
"$coppice" list > "$work/out"; grep -q "four.*some-tag" "$work/out" || die "in a pipe something is left out"
status 0 "$coppice" forget latest --yes

on_terminal 1 "y/N]=n\\\\n\n" "$coppice" forget latest
on_terminal 0 "y/N]=y\\\\n\n" "$coppice" forget latest
on_terminal 2 "" "$coppice" tar latest
