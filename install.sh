#!/bin/sh
# Builds `mcp` from this folder and installs it below a prefix, for the user who runs it. `--help` says how.
set -eu

usage() {
    cat <<'EOF'
Usage: ./install.sh [--prefix DIR] [--uninstall] [--force]

Builds mcp with cargo and installs the program, its man pages and its shell
completions below DIR (~/.local if not given). Needs no root, changes no file
it did not install, and can be run again at any time.

  --prefix DIR   install below DIR
  --uninstall    remove what an earlier run installed below DIR, nothing else
  --force        replace (or remove) files that are not, or no longer, ours
  --help         show this text

For packagers: MCP_INSTALL_BINARY=PATH installs that program instead of
building one.
EOF
}

say() { printf '%s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }
fail() {
    printf 'error: %s\n' "$1" >&2
    exit "${2:-1}"
}

# ---------------------------------------------------------------- what is asked

prefix=
uninstall=no
force=no
while [ $# -gt 0 ]; do
    case $1 in
        --prefix)
            [ $# -ge 2 ] || fail '--prefix needs a folder' 2
            prefix=$2
            shift
            ;;
        --prefix=*) prefix=${1#--prefix=} ;;
        --uninstall) uninstall=yes ;;
        --force) force=yes ;;
        -h | --help)
            usage
            exit 0
            ;;
        *) fail "unknown argument: $1 (see ./install.sh --help)" 2 ;;
    esac
    shift
done
if [ -z "$prefix" ]; then
    [ -n "${HOME:-}" ] || fail 'HOME is not set, so --prefix is needed' 2
    prefix=$HOME/.local
fi
case $prefix in
    /*) ;;
    *) prefix=$PWD/$prefix ;;
esac
while [ "$prefix" != / ] && [ "${prefix%/}" != "$prefix" ]; do prefix=${prefix%/}; done

source_dir=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
# What was installed, one line each: checksum and size of a file, or `dir 0` for a folder made for it; then the path below
# the prefix.
manifest=$prefix/share/mcp/installed-files
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM

# ---------------------------------------------------------------- helpers

checksum() { cksum <"$1" | awk '{ print $1, $2 }'; }

# The recorded checksum of a path below the prefix; nothing if it is not ours.
recorded() {
    [ -f "$manifest" ] || return 0
    awk -v want="$1" '$1 != "dir" { path = $0; sub(/^[^ ]+ [^ ]+ /, "", path); if (path == want) print $1, $2 }' "$manifest"
}

exists() { [ -e "$1" ] || [ -L "$1" ]; }

# The first line a program prints for an argument. It gets no input and two seconds.
ask() {
    "$1" "$2" </dev/null >"$work/answer" 2>/dev/null &
    asked=$!
    tries=0
    while kill -0 "$asked" 2>/dev/null; do
        if [ "$tries" -ge 20 ]; then
            kill -9 "$asked" 2>/dev/null || :
            break
        fi
        tries=$((tries + 1))
        sleep 0.1 2>/dev/null || sleep 1
    done
    # Reaped here, so that the shell does not report the kill in the middle of our output.
    wait "$asked" 2>/dev/null || :
    head -n 1 "$work/answer" | tr -cd '[:print:]'
}

# Which `mcp` a file is. Only a program that says nothing when looked at is run.
identify() {
    if [ "$(head -c 2 "$1" 2>/dev/null | tr -d '\0')" = '#!' ]; then
        if grep -q -e 'from mcp\.' -e 'from mcp import' -e 'mcp\.cli' "$1"; then
            say "PyPI's mcp"
        else
            say "a script for $(head -n 1 "$1" | cut -c 3- | tr -cd '[:print:]')"
        fi
    elif grep -q 'f/mcptools' "$1" 2>/dev/null; then
        say 'mcptools'
    else
        answer=$(ask "$1" --version)
        case $answer in
            'mcp '[0-9]*.[0-9]*) say "another copy of this program ($answer)" ;;
            '') say 'another program' ;;
            *) say "another program ($answer)" ;;
        esac
    fi
}

# ---------------------------------------------------------------- --uninstall

if [ "$uninstall" = yes ]; then
    if [ ! -f "$manifest" ]; then
        say "nothing to remove: no $manifest"
        exit 0
    fi
    : >"$work/kept"
    while read -r sum size path; do
        case $path in
            '' | /* | .. | ../* | */../* | */..)
                warn "ignored a line of $manifest that leads elsewhere: $path"
                continue
                ;;
        esac
        [ "$sum" != dir ] || continue
        file=$prefix/$path
        if ! exists "$file"; then
            say "gone already  $file"
        elif [ "$force" = yes ] || { [ -f "$file" ] && [ ! -L "$file" ] && [ "$(checksum "$file")" = "$sum $size" ]; }; then
            rm -f "$file"
            say "removed       $file"
        else
            say "kept          $file (changed since it was installed)"
            say "$sum $size $path" >>"$work/kept"
        fi
    done <"$manifest"
    awk '$1 == "dir"' "$manifest" >"$work/dirs"
    if [ -s "$work/kept" ]; then
        cat "$work/dirs" "$work/kept" >"$manifest"
        warn "--uninstall --force removes what was kept"
        exit 1
    fi
    rm -f "$manifest"
    # Deepest first. A folder somebody else uses by now is not empty and stays.
    sort -r "$work/dirs" | while read -r _ _ path; do
        case $path in
            '' | /* | .. | ../* | */../* | */..) continue ;;
        esac
        if rmdir "$prefix/$path" 2>/dev/null; then say "removed       $prefix/$path/"; fi
    done
    exit 0
fi

# ---------------------------------------------------------------- build

if [ -n "${MCP_INSTALL_BINARY:-}" ]; then
    binary=$MCP_INSTALL_BINARY
    [ -f "$binary" ] || fail "MCP_INSTALL_BINARY: no file $binary"
    say "using         $binary"
else
    command -v cargo >/dev/null 2>&1 || fail 'cargo is needed to build mcp; https://rustup.rs has it'
    say 'building      cargo build --release --locked (this takes a while the first time)'
    # The messages name the program wherever the target folder is.
    (cd "$source_dir" && cargo build --release --locked --bin mcp --message-format=json-render-diagnostics) >"$work/build" ||
        fail 'the build failed; nothing was installed'
    binary=$(sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' "$work/build" | tail -n 1)
    [ -f "$binary" ] || fail 'the build succeeded but named no program; nothing was installed'
fi

# ---------------------------------------------------------------- what goes where

# Lines of: mode, path below the prefix, source.
list() { printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$work/list"; }

list 755 bin/mcp "$binary"
for page in "$source_dir"/man/*.1; do
    if [ -f "$page" ]; then list 644 "share/man/man1/${page##*/}" "$page"; fi
done
for pair in mcp.bash:share/bash-completion/completions/mcp _mcp:share/zsh/site-functions/_mcp \
    mcp.fish:share/fish/vendor_completions.d/mcp.fish; do
    script=$source_dir/completions/${pair%%:*}
    if [ -f "$script" ]; then list 644 "${pair#*:}" "$script"; fi
done
grep -q 'share/man/' "$work/list" || say 'skipped       man pages: this folder has none'
grep -q 'completions' "$work/list" || say 'skipped       completions: this folder has none'
tab=$(printf '\t')

# ---------------------------------------------------------------- look before touching anything

while IFS=$tab read -r _ path from; do
    file=$prefix/$path
    if ! exists "$file"; then continue; fi
    [ ! -d "$file" ] || fail "$file is a folder; nothing was installed"
    if cmp -s "$from" "$file" && [ ! -L "$file" ]; then continue; fi
    if [ "$force" = yes ]; then continue; fi
    if [ -f "$file" ] && [ ! -L "$file" ] && [ "$(checksum "$file")" = "$(recorded "$path")" ]; then continue; fi
    if [ "$path" = bin/mcp ]; then
        what=$(identify "$file")
        case $what in
            'another copy of this program'*) continue ;;
        esac
        fail "$file is $what. Nothing was installed. Remove it by the way it came, choose another --prefix, or replace it with --force."
    fi
    fail "$file is not from this installer. Nothing was installed. Choose another --prefix, or replace it with --force."
done <"$work/list"

# ---------------------------------------------------------------- install

# Makes a folder below the prefix and notes each part of the path that was not there.
folder() {
    [ -d "$prefix/$1" ] && return 0
    case $1 in
        */*) folder "${1%/*}" ;;
        # A prefix that was not there is the user's wish and stays.
        *) mkdir -p "$prefix" ;;
    esac
    [ -d "$prefix/$1" ] || mkdir "$prefix/$1"
    say "dir 0 $1" >>"$work/dirs"
}

: >"$work/old"
: >"$work/dirs"
: >"$work/files"
if [ -f "$manifest" ]; then
    cp "$manifest" "$work/old"
    awk '$1 == "dir"' "$work/old" >"$work/dirs"
fi
while IFS=$tab read -r _ path from; do
    say "$(checksum "$from") $path" >>"$work/files"
done <"$work/list"

# First the record, of old and new, so that an interrupted run can be removed as well.
folder share/mcp
write_manifest() {
    cat "$@" | awk '!seen[$0]++' >"$manifest.new"
    mv -f "$manifest.new" "$manifest"
}
while IFS=$tab read -r _ path _; do folder "${path%/*}"; done <"$work/list"
write_manifest "$work/dirs" "$work/old" "$work/files"

while IFS=$tab read -r mode path from; do
    file=$prefix/$path
    if cmp -s "$from" "$file" && [ ! -L "$file" ]; then
        chmod "$mode" "$file"
        say "unchanged     $file"
        continue
    fi
    if exists "$file"; then done=updated; else done=installed; fi
    # Beside it and renamed, because a program that runs cannot be written to.
    cp "$from" "$file.new"
    chmod "$mode" "$file.new"
    mv -f "$file.new" "$file"
    printf '%-13s %s\n' "$done" "$file"
done <"$work/list"

# What an older version had and this one does not.
while read -r sum size path; do
    [ "$sum" != dir ] || continue
    case $path in
        '' | /* | .. | ../* | */../* | */..) continue ;;
    esac
    if cut -f 2 "$work/list" | grep -qxF -e "$path"; then continue; fi
    if [ -f "$prefix/$path" ] && [ "$(checksum "$prefix/$path")" = "$sum $size" ]; then
        rm -f "$prefix/$path"
        say "removed       $prefix/$path (not part of this version)"
    fi
done <"$work/old"
write_manifest "$work/dirs" "$work/files"
say "recorded      $manifest"

# ---------------------------------------------------------------- can it be called?

on_path=no
other=
rest=${PATH:-}:
while [ -n "$rest" ]; do
    entry=${rest%%:*}
    rest=${rest#*:}
    [ -n "$entry" ] || entry=.
    real=$(CDPATH='' cd -- "$entry" 2>/dev/null && pwd -P) || continue
    if [ "$real" = "$(CDPATH='' cd -- "$prefix/bin" && pwd -P)" ]; then
        on_path=yes
        break
    fi
    if [ -z "$other" ] && [ -f "$entry/mcp" ] && [ -x "$entry/mcp" ]; then other=$entry/mcp; fi
done

if [ -n "$other" ]; then
    warn "\`mcp\` starts $other, which is $(identify "$other")."
    warn "to call this one: $prefix/bin/mcp, or an alias, or $prefix/bin earlier on PATH:"
    warn "    export PATH=\"$prefix/bin:\$PATH\""
elif [ "$on_path" = no ]; then
    warn "$prefix/bin is not on PATH; for this shell and, in your shell's start file, for later ones:"
    warn "    export PATH=\"$prefix/bin:\$PATH\""
else
    say 'try           mcp clients'
fi
