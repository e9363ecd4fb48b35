#!/bin/sh
# Shows the echo example at work: real bytes through a TLS server and back, a blocked call that is
# broken, a server that drains. Exit status 0 when all of it went as told.
set -u

if [ $# -ne 0 ]; then
    case $1 in
    --help | -h)
        echo "usage: tools/demo.sh"
        echo "Builds the release preset in build/release and shows the echo server and client at work."
        exit 0
        ;;
    esac
    echo "demo.sh: it takes no arguments (--help tells more)" >&2
    exit 2
fi

cd "$(dirname "$0")/.." || exit 1
. tools/setup.sh

server_pid=
client_pid=
work=$(mktemp -d) || exit 1
clean_up() {
    for pid in $client_pid $server_pid; do
        kill -KILL "$pid" 2>/dev/null
    done
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
    echo "FAILED: $1" >&2
    shift
    for file in "$@"; do
        [ -s "$file" ] && sed 's/^/    /' "$file" >&2
    done
    exit 1
}

now_ms() { echo $(($(date +%s%N) / 1000000)); }

# Waits until a command is true, for at most ten seconds.
wait_until() {
    tries=1500
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.005
    done
}

has_ended() { ! kill -0 "$1" 2>/dev/null; }

# A shell starts its background commands with SIGINT ignored; these are to see it.
with_signals() { exec env --default-signal=INT,TERM "$@"; }

build_examples() {
    cmake --preset release -D SALLYPORT_BUILD_TESTS=OFF -D SALLYPORT_BUILD_EXAMPLES=ON &&
        cmake --build --preset release --target echo_server echo_client certs
}

start_server() {
    with_signals "$examples/echo_server" --port 0 >"$work/server.out" 2>"$work/server.err" &
    server_pid=$!
    wait_until grep -q '^listening on ' "$work/server.out" ||
        fail "the server did not say where it listens" "$work/server.out" "$work/server.err"
    address=$(sed -n 's/^listening on //p' "$work/server.out")
    host=${address%:*}
    port=${address##*:}
    echo "1. The server listens on $address, with a certificate made for this build."
}

client() { "$examples/echo_client" --ca "$certs/ca.pem" --timeout 60 "$host" "$port"; }

show_line() {
    echo "Open both doors." >"$work/line"
    client <"$work/line" >"$work/line.back" 2>"$work/client.err" ||
        fail "the client could not send a line (status $?)" "$work/client.err" "$work/server.err"
    cmp -s "$work/line" "$work/line.back" || fail "another line came back" "$work/line.back"
    echo "2. A client sent a line over TLS, and the server's echo is: $(cat "$work/line.back")"
}

show_bulk() {
    size=$((8 * 1024 * 1024))
    head -c "$size" /dev/urandom >"$work/bulk"
    start=$(now_ms)
    client <"$work/bulk" >"$work/bulk.back" 2>"$work/client.err" ||
        fail "the client could not send $size bytes (status $?)" "$work/client.err" "$work/server.err"
    end=$(now_ms)
    cmp "$work/bulk" "$work/bulk.back" || fail "the bytes that came back are not those sent"
    echo "3. $size random bytes went there and came back in $((end - start)) ms, each one the same."
}

# The client has had its echo and waits for more, from a standard input that says nothing and a
# server that has nothing to say.
show_break() {
    mkfifo "$work/input" || exit 1
    with_signals "$examples/echo_client" --ca "$certs/ca.pem" "$host" "$port" \
        <"$work/input" >"$work/waiting.out" 2>"$work/waiting.err" &
    client_pid=$!
    exec 3>"$work/input"
    echo "I wait." >&3
    wait_until grep -q 'I wait.' "$work/waiting.out" ||
        fail "the waiting client got no echo" "$work/waiting.err" "$work/server.err"
    start=$(now_ms)
    kill -INT "$client_pid"
    wait_until has_ended "$client_pid" || fail "SIGINT did not end the blocked client"
    end=$(now_ms)
    wait "$client_pid"
    status=$?
    client_pid=
    exec 3>&-
    [ "$status" -eq 130 ] ||
        fail "SIGINT ended the client with status $status, not 130" "$work/waiting.err"
    [ $((end - start)) -lt 1000 ] || fail "SIGINT took $((end - start)) ms to end the client"
    echo "4. A client was blocked, waiting for more. SIGINT broke its call: it ended within" \
        "$((end - start)) ms, with status 130."
}

stop_server() {
    kill -TERM "$server_pid"
    wait_until has_ended "$server_pid" || fail "SIGTERM did not end the server" "$work/server.err"
    wait "$server_pid"
    status=$?
    server_pid=
    [ "$status" -eq 0 ] || fail "SIGTERM ended the server with status $status" "$work/server.err"
    echo "5. SIGTERM: the server drained its connections and ended with status 0."
}

sally_setup build || exit 1
echo "Building the examples in build/release ..."
build_examples >"$work/build.log" 2>&1 || fail "the build" "$work/build.log"
examples=$PWD/build/release/examples/echo
certs=$PWD/build/release/certs

start_server
show_line
show_bulk
show_break
stop_server
echo "All of it went as it should."
