# shellcheck shell=sh
# Shared by the contract checks. A check is run as `sh NAME.sh ROOT ...`, or as `sh NAME.sh
# --self-test`, which makes small trees that break the contract and proves that each is found.

here=$(cd "$(dirname "$0")" && pwd)
check=$(basename "$0" .sh)
problems=0

problem() {
    echo "$check: $*" >&2
    problems=$((problems + 1))
}

# Each line of standard input is a problem.
problem_lines() {
    while IFS= read -r problem_line; do
        problem "$problem_line"
    done
}

finish() {
    [ "$problems" -eq 0 ] || exit 1
    exit 0
}

skip() {
    echo "skip: $*"
    exit 77
}

make_work_dir() {
    work=$(mktemp -d) || exit 1
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM
}

# The file without comments and without what is inside strings; lines keep their numbers.
plain_c() {
    awk -f "$here/strip.awk" "$1"
}

# For self-tests: the check finds a fault, and says this.
finds() { # TEXT ARGUMENT...
    text=$1
    shift
    if sh "$0" "$@" >"$work/said" 2>&1; then
        problem "self-test: passed, and should have said: $text"
    elif ! grep -qF -- "$text" "$work/said"; then
        problem "self-test: failed without saying: $text; it said: $(cat "$work/said")"
    fi
}

# For self-tests: the check is content.
accepts() { # ARGUMENT...
    sh "$0" "$@" >"$work/said" 2>&1 ||
        problem "self-test: refused a good tree: $(cat "$work/said")"
}

# The public functions that the headers under DIR declare, one a line, sorted.
declared_functions() {
    find "$1" -name '*.h' | sort | while IFS= read -r declared_in; do
        plain_c "$declared_in"
    done | awk '
        directive || /^[ \t]*#/ { directive = /\\$/; next }
        { text = text " " $0 }
        END {
            count = split(text, declaration, /[;{}]/)
            for (i = 1; i <= count; i++) {
                if (declaration[i] !~ /(^|[^A-Za-z0-9_])SALLY_API[^A-Za-z0-9_]/) continue
                if (match(declaration[i], /ssl_[a-z0-9_]+[ \t]*\(/)) {
                    name = substr(declaration[i], RSTART, RLENGTH)
                    sub(/[ \t]*\($/, "", name)
                    print name
                }
            }
        }' | sort -u
}

# "RACKET|C|HEADER" for each row of the tables of docs/racket.md that begin with "Racket" and "C".
racket_rows() { # FILE
    awk -F' *\\| *' '
    /^\| Racket \| C \|/ { inside = 1; columns = NF; next }
    /^\| --- / { next }
    !/^\|/ { inside = 0; next }
    inside { print NF == columns ? $2 "|" $3 "|" $4 : "? " $0 }' "$1"
}

# What stands between backquotes in standard input, a line each.
backquoted() {
    # shellcheck disable=SC2016 # backquotes of Markdown
    grep -oE '`[^`]+`' | tr -d '`'
}
