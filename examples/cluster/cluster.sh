#!/bin/sh
# Two echo servers behind HAProxy, on this machine. docs/cluster.md tells how this grows.
#
#   cluster.sh start DIRECTORY PORT    starts all; its state is in DIRECTORY, clients come to PORT
#   cluster.sh roll DIRECTORY          restarts one server after the other; no client notices
#   cluster.sh rotate DIRECTORY        brings in a new ticket key; no client has a full handshake for it
#   cluster.sh stop DIRECTORY          ends all
#
# ECHO_SERVER is the program's path; build/release/examples/echo/echo_server if it is not set.
# Status 77: a tool is missing.
set -eu

names='one two'
sessions_s=10  # how long connections may go on at a server that gets no new ones
here=$(cd "$(dirname "$0")" && pwd)
server=${ECHO_SERVER:-$here/../../build/release/examples/echo/echo_server}

fail() {
    echo "cluster.sh: $1" >&2
    exit 1
}

need() { # TOOL...
    for tool in "$@"; do
        command -v "$tool" >/dev/null 2>&1 || {
            echo "cluster.sh: there is no $tool" >&2
            exit 77
        }
    done
}

# Tries every 50 ms.
within() { # SECONDS COMMAND...
    tries=$(($1 * 20))
    shift
    until "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.05
    done
}

# ---- servers -------------------------------------------------------------------------------------

listens() { grep -q '^listening' "$directory/$1.out"; }

# A child of another shell may stay a zombie.
is_gone() { # PID
    state=$(sed 's/.*) \(.\).*/\1/' "/proc/$1/stat" 2>/dev/null) || return 0
    [ "$state" = Z ]
}

listens_or_is_gone() { listens "$1" || is_gone "$(cat "$directory/$1.pid")"; }

# At the ports that it had before, if it had any.
start_server() { # NAME
    port=$(cat "$directory/$1.port" 2>/dev/null || echo 0)
    metrics=$(cat "$directory/$1.metrics" 2>/dev/null || echo 0)
    : >"$directory/$1.out"
    "$server" --port "$port" --metrics "$metrics" --proxies 127.0.0.1 \
        --ticket-keys "$directory/tickets.keys" \
        </dev/null >"$directory/$1.out" 2>>"$directory/$1.err" &
    echo $! >"$directory/$1.pid"
    within 20 listens_or_is_gone "$1" || :
    listens "$1" || fail "server $1 did not start: $(cat "$directory/$1.err")"
    sed -n 's/^listening on .*://p' "$directory/$1.out" >"$directory/$1.port"
    sed -n 's/^metrics on .*://p' "$directory/$1.out" >"$directory/$1.metrics"
}

end_process() { # NAME
    pid=$(cat "$directory/$1.pid" 2>/dev/null) || return 0
    kill -TERM "$pid" 2>/dev/null || :
    within 20 is_gone "$pid" || fail "$1, process $pid, does not end"
}

# ---- HAProxy -------------------------------------------------------------------------------------

admin() { # COMMAND
    echo "$1" | socat -t 5 - "UNIX-CONNECT:$directory/admin.sock"
}

column() { # NAME NUMBER: of its line in the statistics
    admin 'show stat' | awk -F, -v name="$1" -v column="$2" '$1 == "echo" && $2 == name { print $column }'
}

is_up() { [ "$(column "$1" 18 2>/dev/null)" = UP ]; }
has_no_sessions() { [ "$(column "$1" 5)" = 0 ]; }

start_haproxy() {
    CLUSTER=$directory CLUSTER_PORT=$1 CLUSTER_PORT_ONE=$(cat "$directory/one.port")
    CLUSTER_PORT_TWO=$(cat "$directory/two.port")
    export CLUSTER CLUSTER_PORT CLUSTER_PORT_ONE CLUSTER_PORT_TWO
    haproxy -D -f "$here/haproxy.cfg" -p "$directory/haproxy.pid" \
        </dev/null >"$directory/haproxy.out" 2>&1 || fail "haproxy did not start: $(cat "$directory/haproxy.out")"
    for name in $names; do
        within 20 is_up "$name" || fail "HAProxy does not see server $name"
    done
}

# ---- ticket keys ---------------------------------------------------------------------------------

new_key() {
    openssl rand -base64 80 | tr -d '\n'
    echo
}

loads_of() { grep -c 'the ticket keys were read again' "$directory/$1.err" || :; } # NAME

has_loaded_more() { [ "$(loads_of "$1")" -gt "$2" ]; } # NAME THAN

# The file is replaced whole, then each server reads it, and it is waited for that all have.
spread_keys() { # FILE
    mv "$1" "$directory/tickets.keys"
    for name in $names; do
        before=$(loads_of "$name")
        kill -HUP "$(cat "$directory/$name.pid")"
        within 20 has_loaded_more "$name" "$before" || fail "server $name did not load the keys: $(cat "$directory/$name.err")"
    done
}

# ---- commands ------------------------------------------------------------------------------------

start() { # PORT
    [ -x "$server" ] || fail "there is no $server; build it, or set ECHO_SERVER"
    mkdir -p "$directory"
    trap stop EXIT # what has started, where the rest does not
    new_key >"$directory/tickets.keys"
    for name in $names; do
        start_server "$name"
    done
    start_haproxy "$1"
    cp "$here/prometheus.yml" "$directory/prometheus.yml"
    printf '[{"targets": ["127.0.0.1:%s", "127.0.0.1:%s"]}]\n' \
        "$(cat "$directory/one.metrics")" "$(cat "$directory/two.metrics")" >"$directory/targets.json"
    trap - EXIT
    echo "listening on 127.0.0.1:$1"
}

# A server that gets no new connections is left to its old ones for a while; its drain ends the rest.
roll() {
    for name in $names; do
        admin "set server echo/$name state drain" >/dev/null
        within "$sessions_s" has_no_sessions "$name" || echo "server $name still has connections; its drain ends them"
        end_process "$name"
        start_server "$name"
        admin "set server echo/$name state ready" >/dev/null
        within 20 is_up "$name" || fail "HAProxy does not see server $name again"
        echo "server $name is new"
    done
}

# First all servers open tickets of the new key, then they seal with it. The oldest beyond three goes.
rotate() {
    new_key >"$directory/new.key"
    cat "$directory/tickets.keys" "$directory/new.key" >"$directory/next.keys"
    spread_keys "$directory/next.keys"
    { cat "$directory/new.key"; grep -vxF -f "$directory/new.key" "$directory/tickets.keys"; } | head -n 3 >"$directory/next.keys"
    spread_keys "$directory/next.keys"
    rm "$directory/new.key"
}

stop() {
    for name in haproxy $names; do
        end_process "$name"
    done
}

umask 077
case $#:${1-} in
3:start | 2:roll | 2:rotate | 2:stop) ;;
*)
    sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
need haproxy socat openssl
command=$1
case $2 in
/*) directory=$2 ;;
*) directory=$PWD/$2 ;;
esac
shift 2
"$command" "$@"
