#!/bin/sh
# The server of docs/starttls.md is run together with its client.
exec sh "$(dirname "$0")/run_mail_client.sh"
