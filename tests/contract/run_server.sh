#!/bin/sh
# The server of README.md is run together with its client.
exec sh "$(dirname "$0")/run_client.sh"
