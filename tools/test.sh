#!/bin/sh
# Builds everything and runs the tests.
set -u

usage() {
    cat <<'END'
usage: tools/test.sh [--long] [--preset NAME] [-L LABEL] [-LE LABEL] [-E PATTERN] [PATTERN...]

Installs what is missing, configures, builds and runs the tests. With patterns (regular expressions
of ctest) only the tests whose name matches one of them; -L, -LE and -E choose as ctest's do. Labels
are the directories of tests/: unit, conformance, scenario, contract, interop, consumer, fuzz, stress, ...

  --few          few processes, each with many cases, instead of one for each case: quicker in the
                 sanitizers' builds; PATTERN, -R and -E then see no single case
  --long         long runs: SALLY_TEST_LONG=1, and time limits to match
  --preset NAME  dev (default), release, asan, tsan, coverage or portable; builds in build/NAME
  --help         this text

The last line is `N passed, N failed, N skipped`. Exit status: 0 all passed, 1 something failed,
2 wrong usage.
END
}

wrong_usage() {
    echo "test.sh: $1 (--help tells more)" >&2
    exit 2
}

finish() { # PASSED FAILED SKIPPED
    echo "$1 passed, $2 failed, $3 skipped"
    [ "$2" -eq 0 ] && [ "$1" -gt 0 ]
    exit
}

# A step whose output matters only when it fails.
quietly() { # NAME COMMAND...
    echo "== $1"
    shift
    "$@" >"$log" 2>&1 && return 0
    cat "$log"
    echo "test.sh: failed: $*" >&2
    finish 0 1 0
}

# ctest's report, with a line for each test that was skipped, and why, and the end of what each failed one
# said; ends with the three counts. Where many cases share an entry (--few), GoogleTest's own report of it
# counts.
read_report() { # FILE DIRECTORY-OF-PARTS
    awk -v parts="$2" '
    function plain(text) {
        gsub(/&lt;/, "<", text); gsub(/&gt;/, ">", text); gsub(/&quot;/, "\"", text)
        gsub(/&apos;/, "\047", text); gsub(/&amp;/, "\\&", text)
        return text
    }
    function attribute(line, name) {
        if (!match(line, " " name "=\"[^\"]*\"")) return ""
        return plain(substr(line, RSTART + length(name) + 3, RLENGTH - length(name) - 4))
    }
    function note_skip(name, reason) {
        skipped++
        print "skipped: " name ": " (reason != "" ? reason : "no reason given")
    }
    function tell_failure(    line) {
        print "failed: " test
        for (line = said > 40 ? said - 39 : 1; line <= said; line++) print "    " output[line]
    }
    # Each failure of a case counts that case once; an entry that failed without one is a failure too.
    function read_part(file,    line, name, ran, failures, skips, why) {
        while ((getline line < file) > 0) {
            if (line ~ /^    <testcase /) {
                ran++
                name = attribute(line, "classname") "." attribute(line, "name")
            } else if (line ~ /^      <failure / && name != "") {
                failures++
                name = ""
            } else if (line ~ /^      <skipped /) {
                skips++
                getline why < file
                sub(/]]>.*/, "", why)
                note_skip(name, why)
            }
        }
        close(file)
        passed += ran - failures - skips
        failed += failures == 0 && status == "fail" ? 1 : failures
    }
    function close_case() {
        if (test ~ /[.]part_[0-9]+$/ && status ~ /^(run|fail)$/) read_part(parts "/" test ".xml")
        else if (status == "run") passed++
        else if (status == "fail") failed++
        else if (status == "disabled" || by_choice) {
            note_skip(test, why)
        } else if (status != "") failed++
        if (status != "run" && status != "" && status != "disabled" && !by_choice) tell_failure()
        status = ""
    }
    /^\t<testcase / {
        close_case()
        test = attribute($0, "name"); status = attribute($0, "status"); said = 0
        by_choice = 0; why = status == "disabled" ? "disabled in the source" : ""; reading = 0
        next
    }
    /^\t\t<skipped message="SKIP_/ { by_choice = 1; next }
    by_choice && why == "" && /<system-out>/ {
        line = $0; sub(/.*<system-out>/, "", line); sub(/<\/system-out>.*/, "", line)
        if (line !~ /^Running main|^Note: |^\[/) why = plain(line)
    }
    status ~ /^(fail|notrun)$/ && !/^\t\t<(failure|skipped) / && !/^\t<\/testcase>/ {
        line = $0; sub(/^\t\t<system-out>/, "", line); sub(/<\/system-out>$/, "", line)
        output[++said] = plain(line)
    }
    by_choice && reading { if ($0 !~ /^\[/) why = plain($0); reading = 0 }
    by_choice && /: Skipped$/ { reading = 1 }
    END { close_case(); printf "counts %d %d %d\n", passed, failed, skipped }
    ' "$1"
}

cd "$(dirname "$0")/.." || exit 1
preset=dev
long=OFF
parts=0
patterns=
add_pattern() { patterns=${patterns:+$patterns|}$1; }

# The words for ctest are kept in "$@": each loop takes one from the front and may put it at the end.
count=$#
while [ "$count" -gt 0 ]; do
    word=$1
    shift
    count=$((count - 1))
    case $word in
    --help | -h)
        usage
        exit 0
        ;;
    --few) parts=8 ;;
    --long) long=ON ;;
    --preset | -L | -LE | -E)
        [ "$count" -gt 0 ] || wrong_usage "$word needs a value"
        case $word in
        --preset) preset=$1 ;;
        *) set -- "$@" "$word" "$1" ;;
        esac
        shift
        count=$((count - 1))
        ;;
    -*) wrong_usage "unknown option: $word" ;;
    '') wrong_usage "a pattern is empty" ;;
    *) add_pattern "$word" ;;
    esac
done
case $preset in
dev | release | asan | tsan | coverage | portable) ;;
*) wrong_usage "unknown preset: $preset; there are dev, release, asan, tsan, coverage, portable" ;;
esac

. tools/setup.sh
case $preset in
tsan | portable) sally_setup build test clang ;;
*) sally_setup build test ;;
esac || finish 0 1 0

build=build/$preset
mkdir -p "$build" || exit 1
log=$build/test.sh.log
if [ "$long" = ON ]; then
    export SALLY_TEST_LONG=1
fi

quietly "configure ($preset)" \
    cmake --preset "$preset" -D SALLYPORT_BUILD_TESTS=ON -D SALLYPORT_TEST_LONG="$long" \
    -D SALLYPORT_TEST_PARTS="$parts"
quietly "build ($preset)" cmake --build --preset "$preset"

echo "== test ($preset)"
report=$PWD/$build/junit.xml
rm -rf "$report" "$build/parts"
ctest --preset "$preset" --output-junit "$report" ${patterns:+-R "$patterns"} "$@"
status=$?
[ -f "$report" ] || finish 0 1 0
counts=$(read_report "$report" "$build/parts")
printf '%s\n' "$counts" | sed '$d'
# shellcheck disable=SC2046 # three numbers
set -- $(printf '%s\n' "$counts" | sed -n '$s/^counts //p')
# ctest failed for a reason that no test shows: that is a failure too.
if [ "$status" -ne 0 ] && [ "$2" -eq 0 ]; then
    set -- "$1" 1 "$3"
fi
finish "$@"
