#!/bin/sh
# The programs in the documents compile, and run where they say so; links to files of ours lead
# somewhere. In a Markdown file, a comment on the line before a fence makes its code a program:
#
#   <!-- example: NAME.c -->        compiled and linked with the library
#   <!-- example: NAME.c run -->    then run as well: alone, or by tests/contract/run_NAME.sh, which
#                                   finds the programs in $EXAMPLES and certificates in $CERTS
#   <!-- example: NAME.h -->        for the programs to include
#
#   docs.sh ROOT LIBRARY-FILE
#   docs.sh --extract DOCUMENT DIRECTORY     writes its programs there, for other tests
#
# CC, CFLAGS and CERTS come from the environment.
. "$(dirname "$0")/common.sh"

list_documents() {
    find "$root" -name '.?*' -prune -o -name build -prune -o -name '*.md' -print | sort
}

# Writes the programs of a document to DIRECTORY, and prints `NAME RUN LINES` for each.
extract() { # FILE DIRECTORY
    awk -v directory="$2" '
    /^<!-- example: [a-z0-9_]+\.(c|c run|h) -->$/ {
        name = $3
        run = name ~ /h$/ ? "include" : $4 == "run" ? "run" : "build"
        next
    }
    /^<!-- example:/ { print "? " $0; next }
    name && /^```c$/ { inside = 1; lines = 0; next }
    name && !inside { print "? no fence of c code after the comment for " name; name = "" }
    inside && /^```$/ { print name, run, lines; inside = 0; name = ""; next }
    inside { print > (directory "/" name); lines++ }
    END { if (inside) print "? the fence of " name " does not end" }' "$1"
}

build_example() { # NAME
    # shellcheck disable=SC2086 # options
    ${CC:-cc} -std=c11 -D_DEFAULT_SOURCE -Wall -Wextra -Werror ${CFLAGS:-} -I "$root/include" \
        "$work/examples/$1" -o "$work/examples/${1%.c}" "$library" \
        -Wl,-rpath,"$(dirname "$library")" -lssl -lcrypto -pthread >"$work/said" 2>&1 || {
        problem "$document: $1 does not compile:"
        cat "$work/said" >&2
        return 1
    }
}

run_example() { # NAME
    runner=$root/tests/contract/run_${1%.c}.sh
    if [ -f "$runner" ]; then
        set -- "$1" sh "$runner"
    else
        set -- "$1" "$work/examples/${1%.c}"
    fi
    name=$1
    shift
    EXAMPLES=$work/examples timeout 30 "$@" >"$work/said" 2>&1 </dev/null || {
        problem "$document: $name ran and ended with status $?:"
        cat "$work/said" >&2
    }
}

check_links() { # FILE
    awk '/^```/ { code = !code } !code' "$1" | grep -oE '\]\([^)# ]+' | sed 's/^](//' | grep -v ':' |
        while IFS= read -r link; do
            [ -e "$(dirname "$1")/$link" ] || echo "$document: the link to $link leads nowhere"
        done >"$work/found"
    problem_lines <"$work/found"
}

check_documents() {
    mkdir -p "$work/examples"
    list_documents >"$work/documents"
    while IFS= read -r path; do
        document=${path#"$root"/}
        extract "$path" "$work/examples" >>"$work/list"
        check_links "$path"
    done <"$work/documents"
    # All are built before any runs: a client's run needs its server.
    while read -r name how lines; do
        if [ "$name" = '?' ]; then
            problem "$how $lines"
            continue
        fi
        echo "$name: $lines lines"
        [ "$how" = include ] && continue
        build_example "$name" && [ "$how" = run ] && echo "$name" >>"$work/to_run"
    done <"$work/list"
    while IFS= read -r name; do
        run_example "$name"
    done <"$work/to_run"
}

self_test() {
    t=$work/t
    mkdir -p "$t/include" "$t/docs" "$t/tests/contract"
    echo 'int ssl_a(void);' >"$t/include/a.h"
    echo 'int ssl_a(void) { return 0; }' | ${CC:-cc} -fPIC -shared -x c - -o "$t/lib.so"
    page() { # MARK LINE...
        printf '# Page\n\n[self](page.md) and [web](https://example.org/)\n\n%s\n' "$1"
        shift
        printf '```c\n#include "a.h"\nint main(void)\n{\n'
        printf '    %s\n' "$@"
        printf '}\n```\n'
    }
    page '<!-- example: one.c -->' 'return ssl_a();' >"$t/docs/page.md"
    accepts "$t" "$t/lib.so"
    page 'no mark' 'syntax error' >"$t/docs/page.md"
    accepts "$t" "$t/lib.so"
    page '<!-- example: one.c -->' 'syntax error' >"$t/docs/page.md"
    finds 'one.c does not compile' "$t" "$t/lib.so"
    page '<!-- example: one.c -->' 'return 3;' >"$t/docs/page.md"
    accepts "$t" "$t/lib.so"
    page '<!-- example: one.c run -->' 'return ssl_a() + 3;' >"$t/docs/page.md"
    finds 'one.c ran and ended with status 3' "$t" "$t/lib.so"
    # shellcheck disable=SC2016 # the fixture expands it
    echo '"$EXAMPLES/one"; [ $? -eq 3 ]' >"$t/tests/contract/run_one.sh"
    accepts "$t" "$t/lib.so"
    page '<!-- example: one -->' 'return 0;' >"$t/docs/page.md"
    finds '<!-- example: one -->' "$t" "$t/lib.so"
    page '<!-- example: one.h run -->' 'return 0;' >"$t/docs/page.md"
    finds '<!-- example: one.h run -->' "$t" "$t/lib.so"
    page '<!-- example: two.c run -->' 'return TWO - 2;' >"$t/docs/two.md"
    # shellcheck disable=SC2016 # backquotes of Markdown
    printf '<!-- example: a.h -->\n```c\n#define TWO 2\n```\n' >"$t/docs/page.md"
    accepts "$t" "$t/lib.so"
    sh "$0" --extract "$t/docs/two.md" "$work"
    [ -s "$work/two.c" ] || problem 'self-test: --extract wrote no two.c'
    rm "$t/docs/two.md"
    printf '<!-- example: one.c -->\ntext\n' >"$t/docs/page.md"
    finds 'no fence of c code' "$t" "$t/lib.so"
    echo '[x](gone.md)' >"$t/docs/page.md"
    finds 'the link to gone.md leads nowhere' "$t" "$t/lib.so"
    finish
}

make_work_dir
: >"$work/list"
: >"$work/to_run"
[ "$1" != --self-test ] || self_test
if [ "$1" = --extract ]; then
    extract "$2" "$3" | grep '^?' | problem_lines
    finish
fi
root=$(cd "$1" && pwd) library=$2 document='the documents'
check_documents
finish
