/* L7 service: who may come in, and who is refused (W4).
 *
 * A place is taken before a client is accepted, so the limits are never passed. Invariants, under the
 * server's lock: `places` is at most options.connections_max, `handshakes` at most handshakes_max; once
 * a drain finds no place taken and no gate open, both stay so.
 */
#include "admit.h"

#include "gate.h"
#include "observe.h"

static bool is_reached(int64_t most, int64_t count)
{
    return most != SALLY_UNLIMITED && count >= most;
}

/* True when a limit is reached, and which. */
static bool lacks_room_locked(const ssl_server *server, ssl_refusal *why)
{
    const ssl_server_options *options = &server->options;
    if (is_reached(options->connections_max, server->places)) {
        *why = SALLY_REFUSED_CONNECTIONS;
        return true;
    }
    *why = SALLY_REFUSED_HANDSHAKES;
    return is_reached(options->handshakes_max, server->handshakes);
}

sally_admission sally_server_admit(ssl_server *server)
{
    sally_admission admission = {.verdict = SALLY_ADMITTED};
    sally_mutex_lock(&server->lock);
    if (lacks_room_locked(server, &admission.why)) {
        bool waits = server->options.when_full == SALLY_FULL_BACKLOG;
        admission.verdict = waits ? SALLY_WAITS : SALLY_REFUSED;
    } else {
        server->places++;
        server->handshakes++;
    }
    sally_mutex_unlock(&server->lock);
    return admission;
}

/* Where others are refused, or one that is idle may yield, there is always something to be done. */
bool sally_server_is_full_locked(const ssl_server *server)
{
    ssl_refusal why;
    bool yields = !sally_list_is_empty(&server->idle);
    return server->options.when_full == SALLY_FULL_BACKLOG && lacks_room_locked(server, &why) &&
           !(why == SALLY_REFUSED_CONNECTIONS && yields);
}

void sally_server_tell_empty_locked(ssl_server *server)
{
    sally_mutex_assert_held(&server->lock);
    bool draining = sally_server_stage(server) >= SALLY_STAGE_DRAINING;
    if (draining && server->gates_open == 0 && server->places == 0) {
        sally_wake_raise(&server->empty);
    }
}

static void retry_gates_locked(ssl_server *server, sally_gate_lack lack)
{
    for (sally_node *n = server->gates.next; n != &server->gates; n = n->next) {
        sally_gate_retry_locked(SALLY_CONTAINER(n, sally_gate, node), lack);
    }
}

void sally_server_note_idle_locked(ssl_server *server)
{
    retry_gates_locked(server, SALLY_LACKS_PLACE);
}

void sally_server_note_shaken(ssl_server *server)
{
    sally_mutex_lock(&server->lock);
    server->handshakes--;
    retry_gates_locked(server, SALLY_LACKS_PLACE);
    sally_mutex_unlock(&server->lock);
}

static void give_back(ssl_server *server, bool shaken, sally_gate_lack lack)
{
    sally_mutex_lock(&server->lock);
    server->places--;
    server->handshakes -= !shaken;
    retry_gates_locked(server, lack);
    sally_server_tell_empty_locked(server);
    sally_mutex_unlock(&server->lock);
}

void sally_server_withdraw_place(ssl_server *server)
{
    give_back(server, false, SALLY_LACKS_PLACE);
}

void sally_server_vacate(ssl_server *server, bool shaken)
{
    (void)sally_add_relaxed(&server->tally.open, UINT64_MAX);
    give_back(server, shaken, SALLY_LACKS_RESOURCE);
}

/* ---- refusals ------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    const char *text;
} refusals[SALLY_REFUSALS] = {
    [SALLY_REFUSED_CONNECTIONS] = {"connections", "refused: connections_max is reached"},
    [SALLY_REFUSED_HANDSHAKES] = {"handshakes", "refused: handshakes_max is reached"},
    [SALLY_REFUSED_ADDRESS] = {"address", "refused: its address has address_connections_max"},
    [SALLY_REFUSED_QUEUE_LENGTH] = {"queue_length", "hung up on: queue_max others wait before it"},
    [SALLY_REFUSED_QUEUE_AGE] = {"queue_age", "hung up on: no worker within queue_timeout_ms"},
    [SALLY_REFUSED_IDLE] = {"idle", "hung up on: idle for longest, and a new client came"},
};

const char *ssl_refusal_name(ssl_refusal refusal)
{
    return (unsigned)refusal < SALLY_REFUSALS ? refusals[refusal].name : "unknown";
}

void sally_server_tell_refusal(ssl_server *server, const sally_addr *remote, ssl_refusal why)
{
    const ssl_server_options *options = &server->options;
    sally_count(&server->tally.refused[why]);
    if (options->refused != NULL) {
        char peer[SALLY_ADDR_TEXT_SIZE];
        sally_addr_text_port(remote, peer, sizeof peer);
        options->refused(peer, why, options->user);
    }
    sally_observe_limit(server, remote, refusals[why].name, refusals[why].text);
}
