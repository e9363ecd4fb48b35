#!/bin/sh
# What the public headers promise is documented and tested: each public function has a comment of
# its own and is named in a test, and each rule id that a header cites is cited by a test.
#
#   promises.sh ROOT
. "$(dirname "$0")/common.sh"

# The words of all tests but these checks.
tested_words() { # ROOT
    find "$1/tests" -path "$1/tests/contract" -prune -o -type f \
        \( -name '*.cc' -o -name '*.cpp' -o -name '*.c' -o -name '*.h' -o -name '*.hpp' -o -name '*.sh' \) \
        -print | sort | while IFS= read -r file; do cat "$file"; done |
        tr -c 'A-Za-z0-9_' '\n' | sort -u
}

# Declarations that do not follow a comment directly.
without_comment() { # FILE
    awk -v file="$2" '
    /^SALLY_API/ && before !~ /\*\/[ \t]*$/ {
        name = $0
        if (match(name, /ssl_[a-z0-9_]+[ \t]*\(/)) name = substr(name, RSTART, RLENGTH - 1)
        print file ":" NR ": " name " has no comment of its own above it"
    }
    { before = $0 }' "$1"
}

check_tree() {
    root=$1
    tested_words "$root" >"$work/words"
    declared_functions "$root/include" >"$work/functions"
    [ -s "$work/functions" ] || problem "no public function found"
    comm -23 "$work/functions" "$work/words" | sed 's/$/: no test names it/' >"$work/found"
    problem_lines <"$work/found"

    find "$root/include" -name '*.h' | sort >"$work/headers"
    while IFS= read -r header; do
        tr -c 'A-Za-z0-9_' '\n' <"$header"
        without_comment "$header" "${header#"$root"/}" >>"$work/bare"
    done <"$work/headers" | grep -xE '[EBPCLW][0-9]{1,2}' | sort -u >"$work/ids"
    [ -s "$work/ids" ] || problem "no header cites a rule"
    problem_lines <"$work/bare"
    # In the name of a test the id is one of several parts: B4_AStaleWakeIsCalmed.
    tr '_' '\n' <"$work/words" | sort -u >"$work/parts"
    comm -23 "$work/ids" "$work/parts" | sed 's/$/: a rule that headers cite and no test does/' \
        >"$work/found"
    problem_lines <"$work/found"
}

self_test() {
    t=$work/t
    mkdir -p "$t/include" "$t/tests/unit" "$t/tests/contract"
    fresh() {
        printf '/** Reads. Keeps: B2, E1. */\nSALLY_API int ssl_a(void);\n' >"$t/include/a.h"
        printf '// E1\nTEST(A, B2_Reads) { ssl_a(); }\n' >"$t/tests/unit/a.cc"
    }
    fresh
    accepts "$t"
    printf '/** Writes. */\nSALLY_API int ssl_b(void);\n' >>"$t/include/a.h"
    printf 'ssl_b\n' >"$t/tests/contract/b.sh"
    finds 'ssl_b: no test names it' "$t"
    fresh
    printf '// P4 (B3)\n' >>"$t/include/a.h"
    finds 'B3: a rule that headers cite and no test does' "$t"
    finds 'P4: a rule that headers cite and no test does' "$t"
    fresh
    printf 'SALLY_API int ssl_b(void);\n' >>"$t/include/a.h"
    finds 'include/a.h:3: ssl_b has no comment of its own' "$t"
    finish
}

make_work_dir
: >"$work/bare"
[ "$1" != --self-test ] || self_test
check_tree "$1"
finish
