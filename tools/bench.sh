#!/bin/sh
# What our server costs, as ratios to a bare OpenSSL server measured in turns in the same run.
set -u

usage() {
    cat <<'TEXT'
usage: tools/bench.sh [--long] [--check]

Builds the release preset in build/release and measures the echo server against the floor, a bare
OpenSSL server with blocking calls and a thread per connection, with the same certificate and cipher.
Processor time is that of the server's process alone; each ratio is the median of the rounds, ours and
the floor in turns within a round. Memory per idle connection is that of the process, the kernel's sockets
not included. Good clients' times beside stalled ones are to those at a second server of ours without any,
visited in turns. Instructions (callgrind, user space) and system calls (perf or
strace) per unit of work stand beside the ratios; they are steady where times wander.

  --long   more rounds, and longer ones: about ten minutes; else under three
  --check  a target that is missed fails the run
  --help   this text

Exit status: 0 measured, 1 not, or with --check a target missed, 2 wrong usage.
TEXT
}

long=no
check=no
for word in "$@"; do
    case $word in
    --long) long=yes ;;
    --check) check=yes ;;
    --help | -h)
        usage
        exit 0
        ;;
    *)
        echo "bench.sh: not an option: $word (--help tells more)" >&2
        exit 2
        ;;
    esac
done

cd "$(dirname "$0")/.." || exit 1
# shellcheck source=tools/setup.sh
. tools/setup.sh

if [ "$long" = yes ]; then
    rounds=15 handshakes=600 messages=30000 messages_of_16=2500 blocks=1500 wakes=10000 idle=9000
    visits=5000 stalled_of_each=1000
else
    rounds=5 handshakes=250 messages=10000 messages_of_16=800 blocks=400 wakes=3000 idle=1000
    visits=1000 stalled_of_each=167
fi

work=$(mktemp -d) || exit 1
started=
clean_up() {
    for pid in $started; do
        kill -KILL "$pid" 2>/dev/null
    done
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

fail() {
    echo "bench.sh: $1" >&2
    [ $# -lt 2 ] || cat "$2" >&2
    exit 1
}

# ---- servers ----------------------------------------------------------------------------------

command_of() { # ours|floor
    case $1 in
    ours) echo "$build/examples/echo/echo_server --cert $certs/server.pem --key $certs/server-key.pem" ;;
    floor) echo "$build/tools/bench/floor_server $certs/server.pem $certs/server-key.pem" ;;
    esac
}

# Sets `pid` and `port`.
start_server() { # ours|floor PREFIX-WORD...
    server=$1
    shift
    : >"$work/$server.out"
    # shellcheck disable=SC2046 # words
    "$@" $(command_of "$server") >"$work/$server.out" 2>"$work/$server.err" &
    pid=$!
    started="$started $pid"
    tries=3000
    until grep -q '^listening on ' "$work/$server.out"; do
        tries=$((tries - 1))
        if [ "$tries" -eq 0 ] || ! kill -0 "$pid" 2>/dev/null; then
            fail "the server ($server) does not start" "$work/$server.err"
        fi
        sleep 0.01
    done
    port=$(sed -n 's/^listening on .*://p' "$work/$server.out")
}

stop_server() { # PID
    kill -TERM "$1" 2>/dev/null
    wait "$1" 2>/dev/null
}

# Prints: units nanoseconds
load() { # MODE PORT PID COUNT [CONNECTIONS]
    mode=$1 at=$2 of=$3
    shift 3
    "$build/tools/bench/load" "$mode" "$at" "$of" "$certs/ca.pem" "$@" 2>"$work/load.err" ||
        fail "the load ($mode) failed" "$work/load.err"
}

# ---- processor time ---------------------------------------------------------------------------

# One round of one kind: which of the two goes first alternates.
measure_round() { # ROUND NAME MODE COUNT [CONNECTIONS]
    round=$1 name=$2 mode=$3
    shift 3
    order='ours floor'
    [ $((round % 2)) -eq 0 ] || order='floor ours'
    for which in $order; do
        # shellcheck disable=SC2154 # ours_port and the like are set below
        eval "load \"$mode\" \"\$${which}_port\" \"\$${which}_pid\" \"\$@\"" >"$work/units.$which"
    done
    paste -d ' ' "$work/units.ours" "$work/units.floor" | awk -v name="$name" '
        { print name, ($2 / $1) / ($4 / $3), $2 / $1 / 1000, $4 / $3 / 1000 }' >>"$work/ratios"
}

measure_time() {
    round=0
    while [ "$round" -lt "$rounds" ]; do
        round=$((round + 1))
        measure_round "$round" handshake handshake "$handshakes"
        measure_round "$round" resume resume "$handshakes"
        measure_round "$round" echo echo "$messages"
        measure_round "$round" echo16 echo "$messages_of_16" 16
        measure_round "$round" bulk bulk "$blocks"
        printf '.' >&2
    done
    echo >&2
}

measure_wakes() {
    "$build/tools/bench/wake_latency" "$floor_port" "$certs/ca.pem" "$wakes" \
        >"$work/wakes" 2>"$work/load.err" || fail "the wake-up measurement failed" "$work/load.err"
    awk '{ print "wake50", $1 / $3, $1 / 1000, $3 / 1000; print "wake99", $2 / $4, $2 / 1000, $4 / 1000 }' \
        "$work/wakes" >>"$work/ratios"
}

# Fewer clients at once where the limit of descriptors is low.
raise_limit() {
    # shellcheck disable=SC3045 # every sh here has it
    ulimit -n "$(ulimit -H -n)"
    # shellcheck disable=SC3045
    limit=$(ulimit -n)
    [ "$limit" != unlimited ] || return 0
    [ "$limit" -gt $((idle + 100)) ] || idle=$((limit - 100))
    [ "$limit" -gt $((6 * stalled_of_each + 100)) ] || stalled_of_each=$(((limit - 100) / 6))
}

# Two servers of ours: one with the stalled clients, one without.
measure_beside_stalled() {
    start_server ours
    beside_pid=$pid beside_port=$port
    start_server ours
    "$build/tools/bench/stalled" "$beside_port" "$beside_pid" "$port" "$certs/ca.pem" \
        "$visits" "$stalled_of_each" >"$work/visits" 2>"$work/load.err" ||
        fail "the measurement beside stalled clients failed" "$work/load.err"
    awk '{ print "beside50", $1 / $3, $1 / 1000, $3 / 1000; print "beside99", $2 / $4, $2 / 1000, $4 / 1000 }' \
        "$work/visits" >>"$work/ratios"
    stop_server "$beside_pid"
    stop_server "$pid"
}

measure_memory() {
    for which in ours floor; do
        start_server "$which"
        load idle "$port" "$pid" "$idle" | awk -v which="$which" \
            '{ printf "%s %.2f %d\n", which, $2 / $1 / 1024, $1 }' >>"$work/memory"
        stop_server "$pid"
    done
}

# ---- counts -----------------------------------------------------------------------------------

# Instructions of a whole run of the server under callgrind.
instructions_of_run() { # ours|floor MODE COUNT
    start_server "$1" valgrind --quiet --tool=callgrind --callgrind-out-file="$work/callgrind"
    load "$2" "$port" "$pid" "$3" >"$work/units"
    stop_server "$pid"
    sed -n 's/^\(totals\|summary\): *//p' "$work/callgrind" | sed -n 1p
}

# Two runs of different length: what they have in common, start and end, falls out.
count_instructions() { # NAME MODE FEW MANY
    for which in ours floor; do
        few=$(instructions_of_run "$which" "$2" "$3")
        many=$(instructions_of_run "$which" "$2" "$4")
        echo "$1 $which $(((many - few) / ($4 - $3)))" >>"$work/instructions"
    done
}

# Every thread of PID is traced.
is_traced() { # PID
    ! grep -hE '^TracerPid:[[:space:]]*0$' "/proc/$1/task/"*/status >/dev/null 2>&1
}

# The number of system calls in a run, or nothing where the tool may not be used. perf hardly slows the
# server; strace does, so that a server which looks twice before it sleeps makes fewer calls than it would.
calls_by_perf() { # PID PORT COUNT
    perf stat -x , -e raw_syscalls:sys_enter -o "$work/perf" -p "$1" -- \
        "$build/tools/bench/load" echo "$2" "$1" "$certs/ca.pem" "$3" >"$work/units" 2>&1 || return 0
    awk -F , '/raw_syscalls:sys_enter/ && $1 ~ /^[0-9]+$/ { print $1 }' "$work/perf"
}

calls_by_strace() { # PID PORT COUNT
    strace -f -c -q -U calls,name -o "$work/strace" -p "$1" 2>"$work/strace.err" &
    tracer=$!
    started="$started $tracer"
    tries=500
    until is_traced "$1"; do
        tries=$((tries - 1))
        if [ "$tries" -eq 0 ] || ! kill -0 "$tracer" 2>/dev/null; then
            return 0
        fi
        sleep 0.01
    done
    load echo "$2" "$1" "$3" >"$work/units"
    kill -INT "$tracer"
    wait "$tracer"
    awk '$1 ~ /^[0-9]+$/ && $2 != "total" { calls += $1 } END { print calls }' "$work/strace"
}

# Two runs of different length, as for instructions.
count_calls_by() { # TOOL
    command -v "$1" >/dev/null 2>&1 || return 1
    for which in ours floor; do
        eval "of=\$${which}_pid at=\$${which}_port"
        few=$("calls_by_$1" "$of" "$at" 500)
        many=$("calls_by_$1" "$of" "$at" 5500)
        [ -n "$few" ] && [ -n "$many" ] || return 1
        echo "$which $few $many $1" | awk '{ printf "%s %.2f %s\n", $1, ($3 - $2) / 5000, $4 }' \
            >>"$work/calls"
    done
}

count_system_calls() {
    for tool in perf strace; do
        : >"$work/calls"
        count_calls_by "$tool" && return 0
    done
    : >"$work/calls"
    echo "skipped: system calls: neither perf nor strace can count here"
}

# ---- report -----------------------------------------------------------------------------------

report() {
    awk -v check="$check" -v stalled=$((6 * stalled_of_each)) '
    function median(name,    i, j, n, v, t) {
        n = split(values[name], v, " ")
        for (i = 2; i <= n; i++) {
            t = v[i] + 0
            for (j = i - 1; j >= 1 && v[j] + 0 > t; j--) v[j + 1] = v[j]
            v[j + 1] = t
        }
        return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
    }
    function line(label, value, target, extra) {
        verdict = value <= target ? "kept" : "MISSED"
        if (verdict == "MISSED") missed++
        printf "%-44s %7.2f   <= %-5.2f %-7s %s\n", label, value, target, verdict, extra
    }
    function micro(name) { return sprintf("%.1f and %.1f us", median(name ".ours"), median(name ".floor")) }
    function add(name, value) { values[name] = values[name] " " value }
    FILENAME ~ /ratios$/ { add($1, $2); add($1 ".ours", $3); add($1 ".floor", $4) }
    FILENAME ~ /memory$/ { kib[$1] = $2; idle = $3 }
    FILENAME ~ /instructions$/ { count[$1 "." $2] = $3 }
    FILENAME ~ /calls$/ { calls[$1] = $2; counted = $3 }
    END {
        printf "%-44s %7s   %-8s %-7s %s\n", "ours / floor, server processor time", "ratio", "target", "", "ours and floor"
        line("full TLS 1.3 handshake and 1-byte echo", median("handshake"), 1.05, micro("handshake"))
        line("the same, resumed", median("resume"), 0.95, micro("resume"))
        line("64-byte echo, 1 connection", median("echo"), 1.08, micro("echo"))
        line("64-byte echo, 16 connections", median("echo16"), 1.12, micro("echo16"))
        line("bulk echo, blocks of 128 KiB", median("bulk"), 1.10, micro("bulk"))
        print ""
        printf "%s\n", "break wake-up / bare eventfd and poll"
        line("p50", median("wake50"), 1.30, micro("wake50"))
        line("p99", median("wake99"), 1.30, micro("wake99"))
        print ""
        printf "good clients beside %d stalled ones / without\n", stalled
        line("full handshake and 1-byte echo, p50", median("beside50"), 1.20, micro("beside50"))
        line("the same, p99", median("beside99"), 1.20, micro("beside99"))
        print ""
        line("KiB of memory per idle connection", kib["ours"], 14.7, \
            sprintf("floor %.1f; %d connections", kib["floor"], idle))
        print ""
        if (counted)
            line("system calls per 64-byte round trip", calls["ours"], 4.00, "floor " calls["floor"] " (" counted ")")
        if ("handshake.ours" in count)
            printf "%-44s %7.3f   %26.2f M and %.2f M\n", "instructions per handshake and 1-byte echo", \
                count["handshake.ours"] / count["handshake.floor"], \
                count["handshake.ours"] / 1e6, count["handshake.floor"] / 1e6
        if ("resume.ours" in count)
            printf "%-44s %7.3f   %26.2f M and %.2f M\n", "the same, resumed", \
                count["resume.ours"] / count["resume.floor"], \
                count["resume.ours"] / 1e6, count["resume.floor"] / 1e6
        if ("echo.ours" in count)
            printf "%-44s %7.3f   %26d and %d\n", "instructions per 64-byte round trip", \
                count["echo.ours"] / count["echo.floor"], count["echo.ours"], count["echo.floor"]
        if (missed) print missed " of the targets missed"
        exit check == "yes" && missed
    }' "$work/ratios" "$work/memory" "$work/instructions" "$work/calls"
}

# ---- the run ----------------------------------------------------------------------------------

sally_setup build || exit 1
build=$PWD/build/release
certs=$build/certs
echo "Building the release preset ..."
{
    cmake --preset release -D SALLYPORT_BUILD_TESTS=OFF -D SALLYPORT_BUILD_EXAMPLES=ON \
        -D SALLYPORT_BUILD_BENCH=ON &&
        cmake --build --preset release --target echo_server floor_server load stalled wake_latency certs
} >"$work/build.log" 2>&1 || fail "the build failed" "$work/build.log"
: >"$work/ratios"
: >"$work/memory"
: >"$work/instructions"
: >"$work/calls"

raise_limit
start_server ours
ours_pid=$pid
# shellcheck disable=SC2034 # its name is put together above
ours_port=$port
start_server floor
floor_pid=$pid floor_port=$port
echo "Measuring processor time, $rounds rounds ..."
measure_time
measure_wakes
count_system_calls
stop_server "$ours_pid"
stop_server "$floor_pid"
echo "Measuring beside stalled clients ..."
measure_beside_stalled
echo "Measuring memory ..."
measure_memory
if command -v valgrind >/dev/null 2>&1; then
    echo "Counting instructions ..."
    count_instructions handshake handshake 10 50
    count_instructions resume resume 10 50
    count_instructions echo echo 100 2100
else
    echo "skipped: instructions: there is no valgrind"
fi
echo
report
