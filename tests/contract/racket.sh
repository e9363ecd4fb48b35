#!/bin/sh
# docs/racket.md tells the truth: each C name in its tables is declared in the header named beside it;
# a function is documented there, exported, and named by a test. Each procedure has one row.
#
#   racket.sh ROOT
# shellcheck disable=SC2016 # backquotes of Markdown
. "$(dirname "$0")/common.sh"

# A name in the code of a header: comments do not count.
is_declared() { # NAME HEADERS
    for header in $(printf '%s\n' "$2" | tr ',' ' '); do
        [ -f "$root/include/sallyport/$header" ] || {
            problem "docs/racket.md: there is no header $header"
            continue
        }
        plain_c "$root/include/sallyport/$header" | grep -qwE "$1" && return 0
    done
    return 1
}

is_function() {
    grep -qx "$1" "$work/functions"
}

check_name() { # NAME HEADERS
    is_declared "$1" "$2" || problem "docs/racket.md: $1 is not declared in $2"
    case $1 in
    SALLY_* | ssl_port | ssl_listener | ssl_context | ssl_wrap_options) return ;;
    esac
    is_function "$1" || problem "docs/racket.md: $1 is no public function"
    grep -qx "$1" "$root/cmake/symbols.txt" || problem "docs/racket.md: $1 is not exported"
    grep -qx "$1" "$work/words" || problem "docs/racket.md: no test names $1"
}

check_tree() { # ROOT
    root=$1
    declared_functions "$root/include" >"$work/functions"
    find "$root/tests" -path "$root/tests/contract" -prune -o -type f \
        \( -name '*.cc' -o -name '*.h' \) -exec cat {} + |
        tr -c 'A-Za-z0-9_' '\n' | sort -u >"$work/words"
    racket_rows "$root/docs/racket.md" >"$work/rows"
    [ -s "$work/rows" ] || problem "docs/racket.md: no table found"
    while IFS='|' read -r racket c headers; do
        [ -n "$c" ] || problem "docs/racket.md: this row has too few columns: $racket"
        names=$(printf %s "$c" | backquoted)
        [ -n "$names" ] || problem "docs/racket.md: no C name beside $racket"
        for name in $names; do
            check_name "$name" "$headers"
        done
    done <"$work/rows"
    cut -d'|' -f1 "$work/rows" | sort | uniq -d | sed 's,^,docs/racket.md: two rows for ,' >"$work/found"
    problem_lines <"$work/found"
}

self_test() {
    t=$work/t
    mkdir -p "$t/include/sallyport" "$t/tests/unit" "$t/docs" "$t/cmake"
    fresh() {
        printf '/** Reads. */\nSALLY_API int ssl_a(void);\n' >"$t/include/sallyport/a.h"
        printf 'TEST(A, Reads) { ssl_a(); }\n' >"$t/tests/unit/a.cc"
        printf 'ssl_a\n' >"$t/cmake/symbols.txt"
        printf '| Racket | C | header | why |\n| --- | --- | --- | --- |\n| `a` | `ssl_a` | a.h | |\n' \
            >"$t/docs/racket.md"
    }
    fresh
    accepts "$t"
    printf '| `b` | `ssl_b` | a.h | |\n' >>"$t/docs/racket.md"
    finds 'ssl_b is not declared in a.h' "$t"
    fresh
    printf '| `b` | `ssl_a` | b.h | |\n' >>"$t/docs/racket.md"
    finds 'there is no header b.h' "$t"
    fresh
    : >"$t/cmake/symbols.txt"
    finds 'ssl_a is not exported' "$t"
    fresh
    : >"$t/tests/unit/a.cc"
    finds 'no test names ssl_a' "$t"
    fresh
    printf '| `a` | `ssl_a` | a.h | |\n' >>"$t/docs/racket.md"
    finds 'two rows for `a`' "$t"
    fresh
    printf '| `c` | soon | a.h | |\n' >>"$t/docs/racket.md"
    finds 'no C name beside' "$t"
    finish
}

make_work_dir
[ "$1" != --self-test ] || self_test
check_tree "$1"
finish
