#!/bin/sh
# The shared library exports what the headers declare, which is what cmake/symbols.txt lists; no
# name that links globally is OpenSSL's too, and our internal ones start with sally_.
#
#   symbols.sh ROOT SHARED STATIC     SHARED may be -, when there is none
#   symbols.sh --list ROOT            prints what cmake/symbols.txt should hold
#
# OPENSSL_ARCHIVES names libssl.a and libcrypto.a.
. "$(dirname "$0")/common.sh"

globals() { # nm's options and FILE
    nm -P "$@" 2>/dev/null | awk 'NF >= 2 && $2 ~ /^[A-TV-Z]$/ { sub(/@.*/, "", $1); print $1 }' |
        grep -v '^__' | grep -v '^SALLYPORT_' | sort -u
}

same() { # FILE FILE TEXT-FOR-FIRST-ONLY TEXT-FOR-SECOND-ONLY
    comm -23 "$1" "$2" | sed "s/\$/: $3/" >"$work/only"
    comm -13 "$1" "$2" | sed "s/\$/: $4/" >>"$work/only"
    problem_lines <"$work/only"
}

self_test() {
    mkdir -p "$work/t/include" "$work/t/cmake"
    fixture() { # HEADER SOURCE LIST
        printf '%s\n' '#define SALLY_API __attribute__((visibility("default")))' "$1" \
            >"$work/t/include/a.h"
        printf '#include "a.h"\n%s\n' "$2" >"$work/t/a.c"
        printf '%s\n' "$3" >"$work/t/cmake/symbols.txt"
        if ${CC:-cc} -fPIC -fvisibility=hidden -I"$work/t/include" -c "$work/t/a.c" -o "$work/t/a.o" &&
            ${CC:-cc} -shared "$work/t/a.o" -o "$work/t/a.so"; then
            rm -f "$work/t/a.a"
            ar cr "$work/t/a.a" "$work/t/a.o"
        else
            problem "self-test: cannot build the fixture"
        fi
    }
    echo 'int ssl_theirs(void) { return 0; }' | ${CC:-cc} -x c -c - -o "$work/t/theirs.o"
    ar cr "$work/t/theirs.a" "$work/t/theirs.o"
    OPENSSL_ARCHIVES=$work/t/theirs.a
    export OPENSSL_ARCHIVES
    set -- "$work/t" "$work/t/a.so" "$work/t/a.a"

    a='SALLY_API int ssl_a(void);'
    body='int ssl_a(void) { return 0; }'
    fixture "$a" "$body int sally_b(void); int sally_b(void) { return 0; }" ssl_a
    accepts "$@"
    fixture "$a" "$body" ''
    finds 'ssl_a: declared in a header, but not in cmake/symbols.txt' "$@"
    fixture "$a" "$body" 'ssl_a
ssl_b'
    finds 'ssl_b: in cmake/symbols.txt, but declared in no header' "$@"
    fixture "$a" '' ssl_a
    finds 'ssl_a: declared in a header, but not exported' "$@"
    fixture "$a" "$body SALLY_API int ssl_b(void) { return 0; }" ssl_a
    finds 'ssl_b: exported, but declared in no header' "$@"
    fixture "$a" "$body int helper(void) { return 0; }" ssl_a
    finds 'helper: an internal name that links globally' "$@"
    fixture 'SALLY_API int ssl_theirs(void);' 'int ssl_theirs(void) { return 0; }' ssl_theirs
    finds 'ssl_theirs: is a name of OpenSSL' "$@"
    finish
}

make_work_dir
case $1 in
--self-test) self_test ;;
--list)
    declared_functions "$2/include"
    exit
    ;;
esac

root=$1 shared=$2 static=$3
[ -n "${OPENSSL_ARCHIVES:-}" ] || skip "there is no libssl.a and libcrypto.a to compare with"

declared_functions "$root/include" >"$work/declared"
grep -v '^$' "$root/cmake/symbols.txt" | sort >"$work/listed"
[ -s "$work/declared" ] || problem "no public function found in $root/include"
same "$work/declared" "$work/listed" 'declared in a header, but not in cmake\/symbols.txt' \
    'in cmake\/symbols.txt, but declared in no header'

if [ "$shared" != - ]; then
    globals -D --defined-only "$shared" >"$work/exported"
    same "$work/declared" "$work/exported" 'declared in a header, but not exported' \
        'exported, but declared in no header'
fi

globals -g --defined-only "$static" >"$work/global"
[ -s "$work/global" ] || problem "no global name in $static"
grep -v '^sally_' "$work/global" | comm -23 - "$work/declared" |
    sed 's/$/: an internal name that links globally and does not start with sally_/' >"$work/bad"
problem_lines <"$work/bad"

for archive in $OPENSSL_ARCHIVES; do
    globals -g --defined-only "$archive" >"$work/theirs"
    [ -s "$work/theirs" ] || problem "no global name in $archive"
    comm -12 "$work/global" "$work/theirs" | sed 's/$/: is a name of OpenSSL too/' >"$work/bad"
    problem_lines <"$work/bad"
done
finish
