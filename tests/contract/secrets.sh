#!/bin/sh
# No private key and no path of the machine it was written on is in the tree that git keeps.
#
#   secrets.sh ROOT
. "$(dirname "$0")/common.sh"

kept_files() {
    if [ -e "$root/.git" ] && command -v git >/dev/null 2>&1; then
        git -C "$root" -c safe.directory='*' ls-files
    else
        (cd "$root" && find . -name build -prune -o -type f -print | sed 's,^\./,,')
    fi
}

check_tree() {
    kept_files >"$work/files"
    [ -s "$work/files" ] || problem "no files found in $root"
    while IFS= read -r file; do
        [ -f "$root/$file" ] || continue
        grep -qE -e '^-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY-----' "$root/$file" &&
            problem "$file: holds a private key"
        grep -qF -e "$real_root/" "$root/$file" && problem "$file: names this tree's own place"
        case $file in
        *.p12 | *.pfx | *-key.der) problem "$file: is a key by its name" ;;
        esac
    done <"$work/files"
}

self_test() {
    t=$work/t
    mkdir -p "$t"
    printf 'a key begins with -----BEGIN %s KEY-----\n' PRIVATE >"$t/text"
    accepts "$t"
    for kind in '' 'EC ' 'RSA ' 'ENCRYPTED ' 'OPENSSH '; do
        echo "-----BEGIN ${kind}PRIVATE KEY-----" >"$t/a.txt"
        finds 'a.txt: holds a private key' "$t"
    done
    echo "see $t/text" >"$t/a.txt"
    finds "a.txt: names this tree's own place" "$t"
    rm "$t/a.txt"
    : >"$t/server-key.der"
    finds 'server-key.der: is a key by its name' "$t"
    finish
}

make_work_dir
[ "$1" != --self-test ] || self_test
root=$1
real_root=$(cd "$root" && pwd -P)
check_tree
finish
