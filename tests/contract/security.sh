#!/bin/sh
# docs/security.md judges every call that sets or loads something and every protocol: can it weaken a
# context, and how. A new one is added to the table of its topic:
#
#   | `ssl_set_something` | no | why not |        or, for yes: with which argument, and what follows
#
#   security.sh ROOT
# shellcheck disable=SC2016 # backquotes of Markdown
. "$(dirname "$0")/common.sh"

# Setters by their names; the breakable forms of calls end in enable_break and set nothing.
setters() { # ROOT
    declared_functions "$1/include" | grep -v '_enable_break$' |
        grep -E '^ssl_(set|load|try)_|^ssl_(listener|port|server_context|registry)_(set|load|try|enable)_|_sources_set$' |
        grep -vE '^ssl_port_set_timeout$|^ssl_load_fail_reason$'
    find "$1/include" -name '*.h' | sort | while IFS= read -r header; do
        plain_c "$header"
    done | grep -oE '(^|[^A-Za-z0-9_])SALLY_PROTOCOL_[A-Z0-9_]+' | grep -oE 'SALLY_.*'
}

# Lines of the form: NAME yes|no HOW
judged() { # ROOT
    sed -n 's/^| `\(ssl_[a-z0-9_]*\|SALLY_PROTOCOL_[A-Z0-9_]*\)` | \([a-z]*\) |\(.*\)|$/\1 \2\3/p' \
        "$1/docs/security.md"
}

check_tree() { # ROOT
    setters "$1" | sort -u >"$work/setters"
    [ -s "$work/setters" ] || problem "no setter found in $1/include"
    judged "$1" >"$work/rows"
    cut -d ' ' -f 1 "$work/rows" | sort >"$work/names"
    comm -23 "$work/setters" "$work/names" |
        sed 's/$/: can it weaken a context? Add a row to docs\/security.md: | `NAME` | yes or no | how |/' \
            >"$work/found"
    problem_lines <"$work/found"
    uniq -d "$work/names" | sed 's/$/: docs\/security.md judges it twice/' >"$work/found"
    problem_lines <"$work/found"
    comm -13 "$work/setters" "$work/names" | uniq |
        sed 's/$/: docs\/security.md judges it, and it is not there/' >"$work/found"
    problem_lines <"$work/found"
    awk '
    $2 != "yes" && $2 != "no" { print $1 ": docs/security.md says " $2 ", neither yes nor no"; next }
    $2 == "yes" && NF < 4 { print $1 ": docs/security.md does not say how it weakens" }
    $2 == "no" && tolower($1) ~ /insecure/ { print $1 ": is named insecure, and docs/security.md says no" }
    ' "$work/rows" >"$work/found"
    problem_lines <"$work/found"
}

self_test() {
    t=$work/t
    mkdir -p "$t/include" "$t/docs"
    printf '%s\n' 'enum { SALLY_PROTOCOL_AUTO };' 'SALLY_API int ssl_set_a(int);' \
        'SALLY_API int ssl_insecure_b(int);' 'SALLY_API int ssl_set_insecure_c(int);' \
        'SALLY_API int ssl_port_set_enable_break(int);' >"$t/include/a.h"
    table() {
        printf '| `%s` | %s | %s |\n' SALLY_PROTOCOL_AUTO yes 'it verifies nothing' \
            ssl_set_insecure_c yes 'it is in the name' "$@" >"$t/docs/security.md"
    }
    table ssl_set_a no ''
    accepts "$t"
    table ssl_set_a yes 'with an argument'
    accepts "$t"
    table
    finds 'ssl_set_a: can it weaken a context?' "$t"
    table ssl_set_a perhaps ''
    finds 'ssl_set_a: docs/security.md says perhaps' "$t"
    table ssl_set_a yes ''
    finds 'ssl_set_a: docs/security.md does not say how' "$t"
    table ssl_set_a no '' ssl_set_a no ''
    finds 'ssl_set_a: docs/security.md judges it twice' "$t"
    table ssl_set_a no '' ssl_set_gone no ''
    finds 'ssl_set_gone: docs/security.md judges it, and it is not there' "$t"
    table ssl_set_a no ''
    sed 's/insecure_c` | yes/insecure_c` | no/' "$t/docs/security.md" >"$work/edited"
    cp "$work/edited" "$t/docs/security.md"
    finds 'ssl_set_insecure_c: is named insecure' "$t"
    finish
}

make_work_dir
[ "$1" != --self-test ] || self_test
check_tree "$1"
finish
