#!/bin/sh
# Every public header compiles alone, as C11 and as C++17, before and after <openssl/ssl.h>, and
# twice, without a warning.
#
#   headers.sh ROOT        ROOT/include holds the headers; CC and CXX are the compilers
. "$(dirname "$0")/common.sh"

compile() { # LANGUAGE HEADER ORDER LINE...
    case $1 in
    c11) compiler="${CC:-cc} -x c -std=c11" ;;
    *) compiler="${CXX:-c++} -x c++ -std=c++17" ;;
    esac
    language=$1 header=$2 order=$3
    shift 3
    printf '%s\n' "$@" >"$work/program"
    $compiler -Wall -Wextra -pedantic -Werror -fsyntax-only -I "$include" "$work/program" 2>"$work/said" || {
        problem "<$header> does not compile as $language, $order:"
        head -n 20 "$work/said" >&2
    }
}

self_test() {
    mkdir -p "$work/t/include/sallyport"
    good='#ifndef A_H
#define A_H
#include <stddef.h>
size_t ssl_a(void);
#endif'
    try() { printf '%s\n' "$1" >"$work/t/include/sallyport/a.h"; }
    try "$good"
    accepts "$work/t"
    try 'size_t ssl_a(void);'
    finds 'as c11, alone' "$work/t"
    try '#include <stddef.h>
size_t ssl_a(void *class);'
    finds 'as c++17, alone' "$work/t"
    try 'struct a { int b; };'
    finds 'twice' "$work/t"
    try 'typedef struct a_ssl SSL; typedef int SSL_CTX;'
    finds 'before <openssl/ssl.h>' "$work/t"
    try '#ifdef SSL_OP_ALL
#error sees OpenSSL
#endif'
    finds 'after <openssl/ssl.h>' "$work/t"
    rm "$work/t/include/sallyport/a.h"
    finds 'no headers' "$work/t"
    finish
}

make_work_dir
[ "$1" != --self-test ] || self_test

include=$1/include
headers=$(cd "$include" && find . -name '*.h' | sed 's,^\./,,' | sort)
[ -n "$headers" ] || problem "no headers in $include"
for header in $headers; do
    us="#include <$header>"
    openssl='#include <openssl/ssl.h>'
    for language in c11 c++17; do
        compile "$language" "$header" alone "$us"
        compile "$language" "$header" twice "$us" "$us"
        compile "$language" "$header" 'before <openssl/ssl.h>' "$us" "$openssl"
        compile "$language" "$header" 'after <openssl/ssl.h>' "$openssl" "$us"
    done
done
finish
