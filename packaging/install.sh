#!/bin/sh
# Installs Mainstay from its archive, after checking the archive against FILE.sha256 beside it.
#
#   sh install.sh [--prefix DIR] [--dry-run] FILE
#
# Without --prefix, root installs into /usr/local, and anybody else into ~/.local. Nothing is downloaded
# or started. Needs a POSIX shell, tar, gzip, and sha256sum or openssl.
set -eu

usage="usage: sh install.sh [--prefix DIR] [--dry-run] mainstay-VERSION-MACHINE-linux.tar.gz"

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

wrong_usage() {
    echo "install.sh: $*; $usage" >&2
    exit 2
}

prefix='' file='' dry=''
while [ $# -gt 0 ]; do
    case $1 in
    --prefix) [ $# -ge 2 ] || wrong_usage "--prefix needs a folder"; prefix=$2; shift ;;
    --prefix=*) prefix=${1#--prefix=} ;;
    --dry-run) dry=yes ;;
    -h | --help) echo "$usage"; exit 0 ;;
    -*) wrong_usage "unknown option $1" ;;
    *) [ -z "$file" ] || wrong_usage "one archive at a time"; file=$1 ;;
    esac
    shift
done
[ -n "$file" ] || wrong_usage "no archive is named"
[ -f "$file" ] || fail "there is no file $file"
if [ -z "$prefix" ]; then
    if [ "$(id -u)" = 0 ]; then
        prefix=/usr/local
    else
        [ -n "${HOME:-}" ] || fail "HOME is not set; name a folder with --prefix DIR"
        prefix=$HOME/.local
    fi
fi
case $prefix in /*) ;; *) prefix=$PWD/$prefix ;; esac
prefix=${prefix%/}

# The checksum.
sum=$file.sha256
[ -f "$sum" ] || fail "there is no $sum to check the archive against; nothing was installed"
expected=''
read -r expected _ < "$sum" || true
case $expected in
'' | *[!0-9a-fA-F]*) fail "$sum does not begin with a SHA-256 checksum; nothing was installed" ;;
esac
if command -v sha256sum > /dev/null 2>&1; then
    actual=$(sha256sum < "$file")
elif command -v openssl > /dev/null 2>&1; then
    actual=$(openssl dgst -sha256 -r < "$file")
else
    fail "neither sha256sum nor openssl is here to check the archive with; nothing was installed"
fi
actual=${actual%% *}
expected=$(echo "$expected" | tr A-F a-f)
[ "$actual" = "$expected" ] || fail "$file is not the file that $sum was made for; nothing was installed
  expected $expected
  found    $actual
Copy both again from where they come from."

# The archive.
work=$(mktemp -d)
new=''
trap 'rm -rf "$work"; [ -z "$new" ] || rm -f "$new"' EXIT
trap 'exit 1' HUP INT TERM
tar -xzof "$file" -C "$work" || fail "$file can't be unpacked; nothing was installed"
from=$(echo "$work"/mainstay-*)
[ -f "$from/mainstay" ] || fail "$file has no program in it; nothing was installed"

# Puts a file in place. It is replaced in one step, so a running daemon keeps its program.
put() { # MODE FILE PLACE
    if [ -n "$dry" ]; then
        echo "would write $prefix/$3"
        return
    fi
    [ ! -d "$prefix/$3" ] || fail "$prefix/$3 is a folder; nothing more was installed"
    mkdir -p "$(dirname "$prefix/$3")" || fail "can't write below $prefix; --prefix DIR names another folder"
    new=$prefix/$3.new
    cp "$2" "$new" || fail "can't write below $prefix; --prefix DIR names another folder"
    chmod "$1" "$new"
    if [ "$3" = bin/mainstay ]; then
        version=$("$new" --version) || fail "the program does not run on this machine ($(uname -sm)); nothing was installed"
    fi
    mv -f "$new" "$prefix/$3"
    new=''
}

had=''
[ ! -e "$prefix/bin/mainstay" ] || had=yes
put 755 "$from/mainstay" bin/mainstay
put 644 "$from/completions/mainstay.bash" share/bash-completion/completions/mainstay
put 644 "$from/completions/_mainstay" share/zsh/site-functions/_mainstay
put 644 "$from/completions/mainstay.fish" share/fish/vendor_completions.d/mainstay.fish
for licence in LICENSE-APACHE LICENSE-MIT THIRD-PARTY-LICENSES; do
    put 644 "$from/$licence" "share/doc/mainstay/$licence"
done
# In a unit, backslashes and quotes are escaped, and `%` and `$` doubled.
escaped=$(printf '%s\n' "$prefix/bin/mainstay" | sed 's/[\\"]/\\&/g; s/%/%%/g; s/\$/$$/g')
while IFS= read -r line; do
    case $line in
    ExecStart=*) printf 'ExecStart="%s" up\n' "$escaped" ;;
    *) printf '%s\n' "$line" ;;
    esac
done < "$from/mainstay.service" > "$work/unit"
put 644 "$work/unit" share/systemd/user/mainstay.service

if [ -n "$dry" ]; then
    echo "$file has the right checksum; nothing was written"
    exit 0
fi
echo "installed $version at $prefix/bin/mainstay, with completions for bash, zsh and fish"
[ -z "$had" ] || echo "a running daemon keeps the previous version until it is restarted"
program=mainstay
case :$PATH: in
*":$prefix/bin:"*) ;;
*)
    program="$prefix/bin/mainstay"
    echo "$prefix/bin is not in your PATH; to add it: export PATH=\"$prefix/bin:\$PATH\""
    ;;
esac
# Shells that are here and would not look there.
if command -v bash > /dev/null 2>&1; then
    folder=$prefix/share/bash-completion/completions
    # The package bash-completion loads the file; without it bash needs a line of its own.
    is_found=''
    for place in "${HOMEBREW_PREFIX:-/usr}/share" /usr/local/share /usr/share /opt/local/share; do
        [ ! -f "$place/bash-completion/bash_completion" ] || is_found=yes
    done
    case ${XDG_DATA_HOME:-${HOME:-}/.local/share}:${XDG_DATA_DIRS:-/usr/local/share:/usr/share}: in
    "$prefix/share:"* | *":$prefix/share:"*) ;;
    *) is_found='' ;;
    esac
    [ -n "$is_found" ] ||
        echo "for completions in bash, put this into ~/.bashrc: . \"$folder/mainstay\""
fi
if command -v zsh > /dev/null 2>&1; then
    folder=$prefix/share/zsh/site-functions
    zsh -fc 'print -l $fpath' | grep -qxF "$folder" ||
        echo "for completions in zsh, put this before compinit in ~/.zshrc: fpath+=(\"$folder\")"
fi
if command -v fish > /dev/null 2>&1 && [ "$prefix" != "${HOME:-}/.local" ]; then
    folder=$prefix/share/fish/vendor_completions.d
    HOME=$work XDG_CONFIG_HOME='' XDG_DATA_HOME='' fish -c 'string join \n $fish_complete_path' |
        grep -qxF "$folder" ||
        echo "for completions in fish, put this into config.fish: set -p fish_complete_path \"$folder\""
fi
if command -v systemctl > /dev/null 2>&1; then
    echo "to run it for good, once there is a configuration: $program service show systemd"
else
    echo "there is no systemd here to run it for good; \`$program up\` runs the daemon in the foreground"
fi
echo "next: $program demo"
