#!/bin/sh
# Runs the client and the server of README.md against each other, or another client for which PROGRAM
# and EXPECTED say what it is and what it prints: EXAMPLES has the programs, CERTS the test
# certificates. The port is a random one; one that is taken is tried no further.
set -eu

server=
work=$(mktemp -d)
trap 'kill "$server" 2>/dev/null || :; rm -rf "$work"' EXIT
mkfifo "$work/enter"

start_server() {
    port=$(od -An -N2 -tu2 /dev/urandom | awk '{ print 20000 + $1 % 12000 }')
    "$EXAMPLES/server" "$CERTS/server.pem" "$CERTS/server-key.pem" "$port" <"$work/enter" &
    server=$!
    exec 3>"$work/enter"
}

ask() {
    said=$(SSL_CERT_FILE="$CERTS/ca.pem" "$EXAMPLES/${PROGRAM:-client}" localhost "$port" 2>"$work/error")
}

for attempt in 1 2 3 4 5; do
    start_server
    tries=500
    until ask; do
        tries=$((tries - 1))
        if [ "$tries" -eq 0 ] || ! kill -0 "$server" 2>/dev/null; then break; fi
        sleep 0.01
    done
    [ -z "${said:-}" ] || break
    echo "attempt $attempt, port $port: $(cat "$work/error")" >&2
    exec 3>&-
    kill "$server" 2>/dev/null || :
done
[ "$said" = "${EXPECTED:-Open both doors.}" ]

echo >&3
wait "$server"
