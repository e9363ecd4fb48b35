#!/bin/sh
# Puts the relay of docs/ports.md between the client and the server of README.md: each client that
# run_client.sh starts goes through a relay of its own.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for name in client server relay; do
    ln -s "$EXAMPLES/$name" "$work/$name"
done

cat >"$work/through_relay" <<'END'
#!/bin/sh
# through_relay HOST PORT
door=$(od -An -N2 -tu2 /dev/urandom | awk '{ print 32000 + $1 % 12000 }')
"$EXAMPLES/relay" "$CERTS/server.pem" "$CERTS/server-key.pem" "$door" "$1" "$2" &
relay=$!
tries=200
until said=$("$EXAMPLES/client" localhost "$door"); do
    tries=$((tries - 1))
    if [ "$tries" -eq 0 ] || ! kill -0 "$relay"; then break; fi
    sleep 0.01
done
kill "$relay" || :
wait "$relay" || :
[ -n "$said" ] && echo "$said"
END
chmod +x "$work/through_relay"
EXAMPLES=$work PROGRAM=through_relay sh "$(dirname "$0")/run_client.sh"
