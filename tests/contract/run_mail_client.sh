#!/bin/sh
# The client of docs/starttls.md offers a mail to its server, which ends when it is told to.
# tests/interop/starttls_test.cc has both against others.
set -eu

work=$(mktemp -d)
server=
trap 'kill "$server" 2>/dev/null || :; rm -rf "$work"' EXIT
mkfifo "$work/said"
"$EXAMPLES/mail_server" "$CERTS/server.pem" "$CERTS/server-key.pem" 0 10000 >"$work/said" &
server=$!
read -r _ port <"$work/said"
wanted='220 localhost ready
250-localhost
250 STARTTLS
220 go ahead
250 localhost
250 taken
221 goodbye'
[ "$(SSL_CERT_FILE="$CERTS/ca.pem" "$EXAMPLES/mail_client" localhost "$port")" = "$wanted" ]
# Without its root nobody is trusted.
if SSL_CERT_FILE="$CERTS/other-ca.pem" "$EXAMPLES/mail_client" localhost "$port" >"$work/untrusted" 2>&1; then
    exit 1
fi
grep -q '^mail_client: STARTTLS: .*certificate' "$work/untrusted"
if grep -q '250 taken' "$work/untrusted"; then exit 1; fi
kill "$server"
wait "$server"
