#!/bin/sh
# Asks the two servers of docs/names.md for their names, for unknown ones, and by ALPN, with the client of
# that page. The certificates: localhost, and second.example.
set -eu

work=$(mktemp -d)
server=
trap 'kill "$server" 2>/dev/null || :; rm -rf "$work"' EXIT
export SSL_CERT_FILE="$CERTS/ca.pem"

serve() { # PROGRAM
    rm -f "$work/said"
    mkfifo "$work/said"
    "$EXAMPLES/$1" "$CERTS/server.pem" "$CERTS/server-key.pem" "$CERTS/sni.pem" "$CERTS/sni-key.pem" \
        >"$work/said" &
    server=$!
    read -r _ port <"$work/said"
}

ask() { # NAME [PROTOCOL]
    "$EXAMPLES/ask_site" localhost "$port" "$@" 2>"$work/error"
}

gets() { # ANSWER NAME [PROTOCOL]
    wanted="/O=Sallyport tests/CN=$1"
    shift
    said=$(ask "$@") || :
    [ "$said" = "$wanted" ] || {
        echo "wanted \"$wanted\" for $*, got \"$said\", $(cat "$work/error")" >&2
        exit 1
    }
}

is_refused() { # REASON NAME [PROTOCOL]
    reason=$1
    shift
    if ask "$@" || ! grep -q "$reason" "$work/error"; then
        echo "$* should have been refused with \"$reason\": $(cat "$work/error")" >&2
        exit 1
    fi
}

ends_when_told() {
    kill "$server"
    wait "$server"
}

serve sites_callback
gets 'localhost: we speak nothing' localhost
gets 'second.example: we speak nothing' second.example
gets 'second.example: we speak nothing' SECOND.example
gets 'localhost: we speak h2' localhost h2
gets 'localhost: we speak nothing' localhost smtp
gets 'second.example: we speak smtp' second.example smtp
is_refused 'alert 120' second.example h2
# The original context has no certificate for that name.
is_refused 'third.example' third.example
SSLKEYLOGFILE=$work/keys gets 'localhost: we speak nothing' localhost
grep -q '^SERVER_TRAFFIC_SECRET_0 ' "$work/keys"
ends_when_told

serve sites_registry
gets 'localhost: we speak nothing' localhost
gets 'second.example: we speak nothing' SECOND.example
is_refused 'alert 112' third.example
ends_when_told
