#!/bin/sh
# The programs of docs/names.md are run together.
exec sh "$(dirname "$0")/run_sites_callback.sh"
