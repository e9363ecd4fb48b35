#!/bin/sh
# Installs the package into a prefix of its own and builds the echo example against that alone.
#
#   consumer.sh ROOT shared|static
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
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
prefix=$work/prefix

step() { # WHAT COMMAND...
    echo "-- $kind: $1"
    shift
    "$@" >"$work/log" 2>&1 || {
        cat "$work/log"
        exit 1
    }
}

# What it must be able to do: say how it is used, and refuse what it does not know.
try_programs() { # DIRECTORY
    for program in echo_server echo_client; do
        "$1/$program" --help >"$work/log" 2>&1 || {
            echo "$1/$program --help failed with status $?:"
            cat "$work/log"
            exit 1
        }
        grep -q "$program" "$work/log" || {
            echo "$program --help does not say how it is used"
            exit 1
        }
        status=0
        "$1/$program" --no-such-option >"$work/log" 2>&1 || status=$?
        [ "$status" -eq 2 ] || {
            echo "$program --no-such-option: status $status, not 2"
            exit 1
        }
        case $kind in
        shared) ldd "$1/$program" | grep -q libsallyport || {
            echo "$program does not use the shared library"
            exit 1
        } ;;
        static) ! ldd "$1/$program" | grep libsallyport || exit 1 ;;
        esac
    done
}

step 'configure the package' cmake -S "$root" -B "$work/build" \
    -D BUILD_SHARED_LIBS=$shared -D CMAKE_BUILD_TYPE=Release -D CMAKE_INSTALL_PREFIX="$prefix" \
    -D SALLYPORT_BUILD_TESTS=OFF -D SALLYPORT_BUILD_EXAMPLES=OFF -D SALLYPORT_BUILD_BENCH=OFF
step 'build it' cmake --build "$work/build"
step 'install it' cmake --install "$work/build"

# Nothing but the package may be found: the tree it came from is out of sight.
rm -rf "$work/build"
if grep -rlF "$root" "$prefix" --include='*.cmake' --include='*.pc' --include='*.h'; then
    echo "these installed files name the tree they were built from"
    exit 1
fi

step 'configure a user, find_package' cmake -S "$root/tests/consumer/project" -B "$work/found" \
    -D CMAKE_PREFIX_PATH="$prefix" -D ECHO="$root/examples/echo"
step 'build it' cmake --build "$work/found"
try_programs "$work/found"

PKG_CONFIG_PATH=$(find "$prefix" -type d -name pkgconfig)
export PKG_CONFIG_PATH
mkdir "$work/piped"
for program in echo_server echo_client; do
    # shellcheck disable=SC2046 # options
    step "build $program, pkg-config" "${CC:-cc}" -Wall -Wextra \
        "$root/examples/echo/$program.c" "$root/examples/echo/arguments.c" -o "$work/piped/$program" \
        $($pkg_config --cflags --libs sallyport) -Wl,-rpath,"$(dirname "$PKG_CONFIG_PATH")"
done
try_programs "$work/piped"
echo "-- $kind: works"
