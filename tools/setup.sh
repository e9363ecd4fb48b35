# shellcheck shell=sh
# Installs the Debian packages that a script of this project needs. To be sourced by a POSIX shell:
#
#   . tools/setup.sh
#   sally_setup build test     # the sets that are needed: build, test, clang, ci
#
# Silent when nothing is missing; otherwise one line says what is installed. Returns 1, with the
# reason on standard error, when it cannot.

# gcc alone brings no C library headers and cmake no build tool when recommendations are off.
sally_packages_build='gcc libc6-dev cmake ninja-build libssl-dev openssl'
sally_packages_test='g++ libgtest-dev pkg-config universal-ctags gnutls-bin curl'
sally_packages_clang='clang libclang-rt-14-dev'
sally_packages_ci='clang-format clang-tidy valgrind shellcheck strace binutils git racket prometheus haproxy socat wrk'

# Prints which of the named packages are not installed.
sally_missing_packages() {
    for sally_package in "$@"; do
        case $(dpkg-query -W -f '${db:Status-Status}' "$sally_package" 2>/dev/null) in
        installed) ;;
        *) printf '%s ' "$sally_package" ;;
        esac
    done
}

sally_as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

sally_setup() {
    sally_wanted=
    for sally_set in "$@"; do
        case $sally_set in
        build) sally_wanted="$sally_wanted $sally_packages_build" ;;
        test) sally_wanted="$sally_wanted $sally_packages_test" ;;
        clang) sally_wanted="$sally_wanted $sally_packages_clang" ;;
        ci) sally_wanted="$sally_wanted $sally_packages_ci" ;;
        *)
            echo "setup.sh: unknown set of packages: $sally_set" >&2
            return 1
            ;;
        esac
    done

    if ! command -v dpkg-query >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
        # Not Debian: the person who builds here brings the tools; say which, if the first is absent.
        command -v cmake >/dev/null 2>&1 && command -v ninja >/dev/null 2>&1 && return 0
        echo "setup.sh: no apt-get here; install what these Debian packages hold:$sally_wanted" >&2
        return 1
    fi

    # shellcheck disable=SC2086 # a list of words
    sally_missing=$(sally_missing_packages $sally_wanted)
    [ -n "$sally_missing" ] || return 0

    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null 2>&1; then
        echo "setup.sh: these packages are missing and need root or sudo to install: $sally_missing" >&2
        return 1
    fi
    echo "Installing with apt-get: $sally_missing"
    sally_log=$(mktemp) || return 1
    # shellcheck disable=SC2086
    if sally_as_root env DEBIAN_FRONTEND=noninteractive apt-get update >"$sally_log" 2>&1 &&
        sally_as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y --no-install-recommends $sally_missing >>"$sally_log" 2>&1; then
        rm -f "$sally_log"
        return 0
    fi
    cat "$sally_log" >&2
    rm -f "$sally_log"
    echo "setup.sh: apt-get could not install: $sally_missing" >&2
    return 1
}
