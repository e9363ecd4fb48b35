#!/bin/sh
# The layers hold: the first line of each file in src/ names its layer, it includes only its own
# layer and lower ones, and what only one file may do is done there alone.
#
#   layers.sh ROOT
# shellcheck disable=SC2016 # dollars that CMake expands
. "$(dirname "$0")/common.sh"

# FILES: CALLS. The calls on the right are legal only in the files on the left, names without their
# ending; a file that is not named may make none of them. `-` stands for no file at all.
legal_calls='
mem: malloc calloc realloc reallocarray free strdup strndup aligned_alloc posix_memalign asprintf vasprintf
sync: pthread_create abort fprintf
wait pollset_poll pollset_epoll: poll ppoll select pselect epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait
wake_eventfd wake_pipe spawn: eventfd pipe pipe2
resolve: getaddrinfo
sock: socket socketpair bind listen connect accept accept4 send sendto sendmsg recv recvfrom recvmsg setsockopt getsockopt getsockname getpeername shutdown
break_signal: sigaction signal
spawn: fork vfork execve execv execvp posix_spawn posix_spawnp waitpid dup2 _exit
libs: dlopen dlmopen dlsym dlvsym dladdr dlclose dlerror
fd sync: pthread_sigmask
fd: sigtimedwait sigpending
fd wake_eventfd wake_pipe keylog spawn: write
fd wake_eventfd wake_pipe digest_port: fcntl
fd wake_eventfd wake_pipe load digest_port: read
stream_cookie: fopencookie funopen
engine engine_error engine_auth: SSL_read SSL_read_ex SSL_write SSL_write_ex SSL_peek SSL_peek_ex SSL_do_handshake SSL_accept SSL_connect SSL_shutdown SSL_get_error
-: pthread_cancel pthread_kill kill raise exit quick_exit
-: printf vprintf vfprintf puts fputs putchar perror psignal ERR_print_errors_fp
-: sprintf vsprintf strcpy strcat gets strtok gethostbyname inet_ntoa sleep usleep nanosleep alloca
'
openssl_layers='3 4'

check_tree() { # ROOT
    for file in "$1"/src/*.[ch]; do
        printf '\1file %s\n' "${file##*/}"
        sed -n '1s/^/\x01first /p' "$file"
        plain_c "$file"
    done | awk -v legal_calls="$legal_calls" -v openssl_layers="$openssl_layers" '
    function stem(name) { sub(/\.[ch]$/, "", name); return name }
    BEGIN {
        rules = split(legal_calls, rule, "\n")
        for (r = 1; r <= rules; r++) {
            if (rule[r] == "") continue
            split(rule[r], side, ":")
            words = split(side[2], call, " ")
            for (w = 1; w <= words; w++) home[call[w]] = " " side[1] " "
        }
    }
    /^\001file / { file = $2; files[file] = 1; number = -1; next }
    /^\001first / {
        number = 0
        if (match($0, /^.first \/\* L[0-9] [a-z]+: /))
            layer[file] = substr($0, index($0, "L") + 1, 1)
        else
            print "src/" file ": the first line names no layer (/* L2 net: ... */)"
        next
    }
    { number++ }
    /^[ \t]*#[ \t]*include/ {
        name = $0; gsub(/^[^"<]*["<]|[">].*$/, "", name)
        where = "src/" file ":" number ": "
        if (name ~ /^openssl\//) {
            if (index(" " openssl_layers " ", " " layer[file] " ") == 0)
                print where "<" name "> outside of the layers " openssl_layers
        } else if (name !~ /^sallyport/ && $0 ~ /"/) {
            includes++
            from[includes] = file; to[includes] = name; at[includes] = where
        }
        next
    }
    {
        rest = $0
        while (match(rest, /[A-Za-z_][A-Za-z0-9_]*[ \t]*\(/)) {
            call_name = substr(rest, RSTART, RLENGTH); sub(/[ \t]*\($/, "", call_name)
            before = RSTART > 1 ? substr(rest, RSTART - 1, 1) : ""
            rest = substr(rest, RSTART + RLENGTH)
            if (before == "." || before == ">" || !(call_name in home)) continue
            if (index(home[call_name], " " stem(file) " ") == 0)
                print "src/" file ":" number ": calls " call_name ", which is legal in: " home[call_name]
        }
    }
    END {
        for (i = 1; i <= includes; i++) {
            if (!(to[i] in files)) print at[i] "includes \"" to[i] "\", which is not in src/"
            else if (layer[to[i]] > layer[from[i]])
                print at[i] "L" layer[from[i]] " includes \"" to[i] "\" of L" layer[to[i]]
        }
    }' >"$work/found"
    problem_lines <"$work/found"

    # A source that no list of the build names, or that the map of the source leaves out.
    for file in "$1"/src/*.c; do
        name=${file##*/}
        case $name in
        wake_*.c) listed='wake_${SALLYPORT_WAKE}.c' ;;
        stream_*.c) listed='stream_${SALLYPORT_STREAM}.c' ;;
        pollset_*.c) listed='pollset_${SALLYPORT_POLLSET}.c' ;;
        *) listed=$name ;;
        esac
        grep -qF -e " $listed" "$1/cmake/sources.cmake" ||
            problem "src/$name: not in cmake/sources.cmake"
        grep -qF -e "$name" "$1/src/README.md" 2>/dev/null ||
            problem "src/$name: src/README.md does not name it"
    done

    # Programs see what users see. Their own files beside them are theirs.
    find "$1/tools" "$1/examples" -name '*.[ch]' 2>/dev/null | sort >"$work/programs"
    while IFS= read -r file; do
        plain_c "$file" | sed -n 's/^[ \t]*#[ \t]*include[ \t]*"\([^"]*\)".*/\1/p' >"$work/included"
        while IFS= read -r name; do
            case $name in sallyport.h | sallyport/*) continue ;; esac
            case $name in
            *src/*) ;;
            *) [ ! -e "${file%/*}/$name" ] || continue ;;
            esac
            problem "${file#"$1"/}: includes \"$name\": tools and examples see public headers only"
        done <"$work/included"
    done <"$work/programs"
}

self_test() {
    t=$work/t
    mkdir -p "$t/src" "$t/cmake" "$t/tools" "$t/examples"
    fresh() {
        rm -f "$t"/src/* "$t"/tools/* "$t"/examples/*
        printf '/* L0 base: memory. */\n#include <stdlib.h>\nvoid *m(void) { return malloc(1); }\n' \
            >"$t/src/mem.c"
        printf '/* L0 base: memory. */\n' >"$t/src/mem.h"
        printf '/* L4 engine: one\n * connection. */\n#include <openssl/ssl.h>\n#include "mem.h"\n' \
            >"$t/src/engine.c"
        printf '/* L4 engine: one connection. */\n' >"$t/src/engine.h"
        printf '/* L5 ports: a */\n#include <sallyport/port.h>\n/* poll() */\nchar *s = "free(1)";\n' \
            >"$t/src/port.c"
        printf 'void f(struct t *t) { t->poll(1); t->ops.send (2); my_free(3); }\n' >>"$t/src/port.c"
        printf '    mem.c\n    engine.c\n    port.c\n    wake_${SALLYPORT_WAKE}.c\n' \
            >"$t/cmake/sources.cmake"
        printf 'mem.c engine.c port.c wake_pipe.c' >"$t/src/README.md"
        printf '#include <sallyport.h>\n#include "b.h"\n' >"$t/examples/a.c"
        : >"$t/examples/b.h"
    }
    add() { printf '%s\n' "$2" >>"$t/$1"; }
    fresh
    accepts "$t"
    add src/mem.c '#include "engine.h"'
    finds 'src/mem.c:4: L0 includes "engine.h" of L4' "$t"
    fresh
    add src/port.c '#include <openssl/ssl.h>'
    finds 'src/port.c:6: <openssl/ssl.h> outside of the layers' "$t"
    fresh
    add src/port.c '#include "nowhere.h"'
    finds 'which is not in src/' "$t"
    fresh
    echo 'int a;' >"$t/src/mem.h"
    finds 'src/mem.h: the first line names no layer' "$t"
    for call in 'poll(f, 1, 2)' 'epoll_wait (1)' 'socket(1)' 'free(p)' 'pthread_create(t)' \
        'pthread_kill(1)' 'printf(s)' 'SSL_read(s)' 'getaddrinfo(a)' 'sigaction(1)' 'eventfd(0)'; do
        fresh
        add src/port.c "void g(void) { if (x) $call; }"
        finds "src/port.c:6: calls ${call%%[ (]*}," "$t"
    done
    fresh
    printf '/* L1 waiting: pipe */\n' >"$t/src/wake_pipe.c"
    accepts "$t"
    printf '/* L1 waiting: more */\n' >"$t/src/more.c"
    finds 'src/more.c: not in cmake/sources.cmake' "$t"
    finds 'src/more.c: src/README.md does not name it' "$t"
    fresh
    add examples/a.c '#include "../src/mem.h"'
    finds 'examples/a.c: includes "../src/mem.h"' "$t"
    fresh
    add tools/a.c '#include "mem.h"'
    finds 'tools/a.c: includes "mem.h"' "$t"
    finish
}

make_work_dir
[ "$1" != --self-test ] || self_test
check_tree "$1"
finish
