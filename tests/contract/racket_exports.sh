#!/bin/sh
# Each name that the modules of the installed Racket's openssl collection export has a row in
# docs/racket.md. Skipped where there is no Racket.
#
#   racket_exports.sh ROOT
#
# RACKET names another command than racket.
. "$(dirname "$0")/common.sh"

check_tree() { # ROOT
    racket=${RACKET:-racket}
    command -v "$racket" >/dev/null 2>&1 || skip "there is no $racket"
    "$racket" "$here/exports.rkt" >"$work/exports" || problem "cannot ask $racket for its exports"
    racket_rows "$1/docs/racket.md" | cut -d '|' -f 1 | backquoted | sort -u >"$work/names"
    while read -r module name; do
        grep -qxF -- "$name" "$work/names" || problem "docs/racket.md has no row for $name of $module"
    done <"$work/exports"
    [ "$problems" -gt 0 ] || echo "$(sort -u -k 2 "$work/exports" | wc -l) names have their rows"
}

self_test() {
    t=$work/t
    mkdir -p "$t/docs"
    printf '#!/bin/sh\n[ ! -f %s/broken ] || exit 1\ncat %s/says\n' "$t" "$t" >"$t/racket"
    chmod +x "$t/racket"
    export RACKET="$t/racket"
    # shellcheck disable=SC2016 # backquotes of Markdown
    printf '| Racket | C | header | why |\n| --- | --- | --- | --- |\n| `a!`, `b` | `ssl_a` | a.h | |\n' \
        >"$t/docs/racket.md"
    printf 'openssl/main a!\nopenssl/other b\nopenssl/mzssl a!\n' >"$t/says"
    accepts "$t"
    printf 'openssl/main a\n' >>"$t/says"
    finds 'no row for a of openssl/main' "$t"
    touch "$t/broken"
    finds 'cannot ask' "$t"
    finish
}

make_work_dir
[ "$1" != --self-test ] || self_test
check_tree "$1"
finish
