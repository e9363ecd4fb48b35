#!/bin/sh
# The digest of docs/library.md agrees with coreutils, for a file and for standard input.
set -eu

work=$(mktemp)
trap 'rm -f "$work"' EXIT
head -c 100000 "$EXAMPLES/digest" >"$work"
wanted=$(sha256sum <"$work" | cut -d ' ' -f 1)
[ "$("$EXAMPLES/digest" "$work")" = "$wanted" ]
# shellcheck disable=SC2002 # a pipe is wanted
[ "$(cat "$work" | "$EXAMPLES/digest")" = "$wanted" ]
! "$EXAMPLES/digest" "$work/none" 2>/dev/null
