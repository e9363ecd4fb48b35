#!/bin/sh
# Runs the program of docs/ports.md that talks through FILEs, against the server of README.md.
PROGRAM=talk EXPECTED='line 1
line 2
line 3' exec sh "$(dirname "$0")/run_client.sh"
