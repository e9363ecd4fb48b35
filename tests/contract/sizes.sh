#!/bin/sh
# No function over 70 lines or 6 parameters, no file over 600 lines; in src/ half of the functions
# have at most 15 lines and nine of ten at most 45.
#
#   sizes.sh ROOT
. "$(dirname "$0")/common.sh"

command -v ctags >/dev/null 2>&1 || skip "there is no ctags (package universal-ctags)"

# Lines of the form: LINES PARAMETERS FILE FUNCTION
measure() { # DIRECTORY
    find "$1" -name '*.[ch]' -print | sort |
        ctags -L - --languages=C,C++ --kinds-C=f --kinds-C++=f --fields=+neS -f - 2>/dev/null |
        awk -F '\t' -v root="$root/" '
        /^!/ { next }
        {
            from = to = parameters = 0
            for (i = 4; i <= NF; i++) {
                if ($i ~ /^line:/) from = substr($i, 6)
                if ($i ~ /^end:/) to = substr($i, 5)
                if ($i ~ /^signature:/) {
                    signature = substr($i, 11)
                    # A parameter that is a function brings commas of its own.
                    while (sub(/\([^()]*\)[ \t]*\([^()]*\)/, "f", signature)) { }
                    parameters = signature ~ /^\((void)?\)$/ ? 0 : gsub(/,/, "", signature) + 1
                }
            }
            if (to) print to - from + 1, parameters, substr($2, length(root) + 1), $1
        }'
}

self_test() {
    mkdir -p "$work/t/src"
    body() { # LINES
        awk -v n="$1" 'BEGIN { print "int f(int a, int (*b)(int, int))\n{"
            for (i = 4; i <= n; i++) print "    a++;"
            print "}" }'
    }
    many() { # COUNT LINES
        for n in $(seq "$1"); do body "$2" | sed "s/int f/int f$n/"; done
    }
    body 15 >"$work/t/src/a.c"
    accepts "$work/t"
    { body 70; many 12 5; } >"$work/t/src/a.c"
    accepts "$work/t"
    { body 71; many 12 5; } >"$work/t/src/a.c"
    finds 'src/a.c: f has 71 lines' "$work/t"
    many 9 16 >"$work/t/src/a.c"
    finds 'the median function has 16 lines' "$work/t"
    { many 8 5; many 2 50; } >"$work/t/src/a.c"
    finds 'has 50 lines; at most 45' "$work/t"
    echo 'int f(int a, int b, int c, int d, int e, int f, int g) { return 0; }' >"$work/t/src/a.c"
    finds 'src/a.c: f has 7 parameters' "$work/t"
    awk 'BEGIN { for (i = 0; i < 601; i++) print "int a;" }' >"$work/t/src/a.c"
    body 5 >>"$work/t/src/a.c"
    finds 'src/a.c: 606 lines' "$work/t"
    rm "$work/t/src/a.c"
    finds 'no function found' "$work/t"
    finish
}

make_work_dir
[ "$1" != --self-test ] || self_test

root=$1
for directory in src include tools examples tests; do
    [ -d "$root/$directory" ] || continue
    find "$root/$directory" -name '*.[ch]' -o -name '*.cc' -o -name '*.cpp' | sort |
        while IFS= read -r file; do
            lines=$(wc -l <"$file")
            [ "$lines" -le 600 ] || echo "${file#"$root"/}: $lines lines; at most 600"
        done >"$work/found"
    problem_lines <"$work/found"
    [ "$directory" != tests ] || continue
    measure "$root/$directory" >"$work/$directory.functions"
    awk '$1 > 70 { print $3 ": " $4 " has " $1 " lines; at most 70" }
        $2 > 6 { print $3 ": " $4 " has " $2 " parameters; at most 6" }' \
        "$work/$directory.functions" >"$work/found"
    problem_lines <"$work/found"
done

grep '\.c ' "$work/src.functions" | sort -n | awk '
    { size[NR] = $1 }
    END {
        if (NR == 0) { print "no function found in src/"; exit }
        median = size[int((NR + 1) / 2)]
        tenth = size[int(NR * 0.9 + 0.999)]
        print NR " functions in src/: median " median " lines, 90th percentile " tenth > "/dev/stderr"
        if (median > 15) print "the median function has " median " lines; at most 15"
        if (tenth > 45) print "the function at the 90th percentile has " tenth " lines; at most 45"
    }' >"$work/found"
problem_lines <"$work/found"
finish
