#!/bin/sh
# The handles of library.h in each way to link with OpenSSL: shared, linked in and exported, linked in
# and hidden.
#
#   linked_in.sh ROOT STATIC-LIBRARY-OF-OURS LIBSSL.A LIBCRYPTO.A
#
# CC and CFLAGS come from the environment.
set -eu

root=$1 ours=$2 ssl=$3 crypto=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
for archive in "$ssl" "$crypto"; do
    [ -f "$archive" ] || {
        echo "skip: there is no libssl.a and libcrypto.a"
        exit 77
    }
done

says() { # WANTED LINK-OPTION...
    wanted=$1
    shift
    # shellcheck disable=SC2086 # options
    ${CC:-cc} ${CFLAGS:-} -D_GNU_SOURCE -I "$root/include" "$root/tests/consumer/linked_in.c" \
        -o "$work/program" "$@" -pthread -ldl 2>"$work/log" || {
        cat "$work/log"
        exit 1
    }
    said=$("$work/program")
    [ "$said" = "$wanted" ] || {
        echo "linked with $*: it says: $said; wanted: $wanted"
        exit 1
    }
}

says 'available, libssl ours, libcrypto ours' "$ours" -lssl -lcrypto
says 'available, libssl ours, libcrypto ours' -no-pie "$ours" -lssl -lcrypto
says 'available, libssl ours, libcrypto ours' -rdynamic "$ours" "$ssl" "$crypto"
says 'available, libssl none, libcrypto none' "$ours" "$ssl" "$crypto"
