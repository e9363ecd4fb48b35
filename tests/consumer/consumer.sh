#!/bin/sh
# Installs the package into a prefix of its own and builds the echo example against that alone.
#
#   consumer.sh ROOT shared|static
#
# CERTS names the directory of the test certificates.
set -eu

root=$1 kind=$2
case $kind in
shared) shared=ON pkg_config='pkg-config' ;;
static) shared=OFF pkg_config='pkg-config --static' ;;
*)
    echo "usage: consumer.sh ROOT shared|static" >&2
    exit 2
    ;;
esac
command -v pkg-config >/dev/null 2>&1 || {
    echo "skip: there is no pkg-config"
    exit 77
}

work=$(mktemp -d)
server=
clean_up() {
    [ -z "$server" ] || kill -KILL "$server" 2>/dev/null || :
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM
prefix=$work/prefix

fail() {
    cat "$work/log"
    echo "$kind: $1"
    exit 1
}

step() { # WHAT COMMAND...
    echo "-- $kind: $1"
    shift
    "$@" >"$work/log" 2>&1 || fail "failed: $*"
}

# What strangers built works: a line goes there and back, and wrong usage is refused.
try_programs() { # DIRECTORY
    for program in echo_server echo_client; do
        case $kind in
        shared) ldd "$1/$program" | grep -q libsallyport || fail "$program does not use the shared library" ;;
        static) ! ldd "$1/$program" | grep -q libsallyport || fail "$program uses a shared library" ;;
        esac
        status=0
        "$1/$program" --no-such-option >"$work/log" 2>&1 || status=$?
        [ "$status" -eq 2 ] || fail "$program --no-such-option: status $status, not 2"
        grep -q "usage: .*$program" "$work/log" || fail "$program does not say how it is used"
    done

    # The file is there before the server is, and empty: an earlier server's address is not taken for its.
    : >"$work/address"
    "$1/echo_server" --port 0 >>"$work/address" 2>"$work/log" &
    server=$!
    tries=1000
    until grep -q '^listening on ' "$work/address"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "echo_server does not listen"
        sleep 0.01
    done
    port=$(sed 's/.*://' "$work/address")
    said=$(echo 'from strangers' | "$1/echo_client" --ca "$CERTS/ca.pem" 127.0.0.1 "$port")
    [ "$said" = 'from strangers' ] || fail "echo_client got: $said"
    kill -TERM "$server"
    wait "$server" || fail "echo_server ended with status $?"
    server=
}

step 'configure the package' cmake -S "$root" -B "$work/build" \
    -D BUILD_SHARED_LIBS=$shared -D CMAKE_BUILD_TYPE=Release -D CMAKE_INSTALL_PREFIX="$prefix" \
    -D SALLYPORT_BUILD_TESTS=OFF -D SALLYPORT_BUILD_EXAMPLES=OFF -D SALLYPORT_BUILD_BENCH=OFF
step 'build it' cmake --build "$work/build"
step 'install it' cmake --install "$work/build"

# Nothing but the package may be found: the tree it came from is out of sight.
rm -rf "$work/build"
if grep -rlF "$root" "$prefix" --include='*.cmake' --include='*.pc' --include='*.h'; then
    fail "these installed files name the tree they were built from"
fi

step 'configure a user, find_package' cmake -S "$root/tests/consumer/project" -B "$work/found" \
    -D CMAKE_PREFIX_PATH="$prefix" -D EXAMPLES="$root/examples" -D CERTS="$CERTS"
step 'build it' cmake --build "$work/found"
try_programs "$work/found"

PKG_CONFIG_PATH=$(find "$prefix" -type d -name pkgconfig)
export PKG_CONFIG_PATH
mkdir "$work/piped"
common=$(find "$root/examples/common" "$root/examples/echo" -name '*.c' ! -name 'echo_*.c')
for program in echo_server echo_client; do
    # shellcheck disable=SC2046,SC2086 # lists of words
    step "build $program, pkg-config" "${CC:-cc}" -Wall -Wextra \
        -D_GNU_SOURCE "-DTEST_CA=\"$CERTS/ca.pem\"" "-DTEST_CERT=\"$CERTS/server.pem\"" \
        "-DTEST_KEY=\"$CERTS/server-key.pem\"" \
        "$root/examples/echo/$program.c" $common -o "$work/piped/$program" \
        $($pkg_config --cflags --libs sallyport) -Wl,-rpath,"$(dirname "$PKG_CONFIG_PATH")"
done
try_programs "$work/piped"
echo "-- $kind: works"
