/* L5 ports: questions about the peer (C6, C7). Each looks under the connection's lock and copies what it
 * finds; nothing here waits.
 */
#include "sallyport/peer.h"
#include "conn.h"
#include "error.h"
#include "ossl.h"

/* ---- the shape of a question --------------------------------------------------------------- */

/* OK: the lock is held, and the engine is there until leave. `places` says whether there is room for all
 * answers. */
static ssl_status enter(const ssl_port *port, bool places, const char *call, ssl_error *err)
{
    sally_ossl_begin();
    if (port == NULL || !places) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE, "%s: %s", call,
                          port == NULL ? "the port is NULL" : "there is no place for the answer");
    }
    sally_conn_lock(port->conn);
    if (sally_conn_open_engine_locked(port->conn) != NULL) {
        return SALLY_OK;
    }
    sally_conn_unlock(port->conn);
    return sally_fail(err, SALLY_CLOSED, SALLY_PHASE_NONE,
                      "%s: both ports of this connection are closed", call);
}

static void leave(const ssl_port *port)
{
    sally_ossl_end();
    sally_conn_unlock(port->conn);
}

/* ---- the certificate ----------------------------------------------------------------------- */

bool ssl_peer_verified(const ssl_port *port)
{
    if (enter(port, true, "ssl_peer_verified", NULL) != SALLY_OK) {
        return false;
    }
    bool verified = sally_engine_peer_verified(port->conn->engine);
    leave(port);
    return verified;
}

ssl_status ssl_peer_certificate_hostnames(const ssl_port *port, char ***names, size_t *count,
                                          ssl_error *err)
{
    static const char call[] = "ssl_peer_certificate_hostnames";
    char **found = NULL;
    size_t found_count = 0;
    ssl_status status = enter(port, names != NULL && count != NULL, call, err);
    if (status == SALLY_OK) {
        if (!sally_engine_peer_names(port->conn->engine, &found, &found_count)) {
            status = sally_fail_memory(err, SALLY_PHASE_NONE, call);
        }
        leave(port);
    }
    if (names != NULL) {
        *names = found;
    }
    if (count != NULL) {
        *count = found_count;
    }
    return status;
}

static ssl_status check_hostname(const ssl_port *port, const char *hostname, bool *matches,
                                 ssl_error *err)
{
    static const char call[] = "ssl_peer_check_hostname";
    sally_hostname name;
    if (hostname == NULL) {
        sally_ossl_begin();
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE, "%s: the hostname is NULL", call);
    }
    ssl_status status = sally_hostname_read(hostname, call, &name, err);
    if (status == SALLY_OK) {
        status = enter(port, true, call, err);
    }
    if (status == SALLY_OK) {
        *matches = sally_engine_peer_matches(port->conn->engine, &name);
        leave(port);
    }
    return status;
}

ssl_status ssl_peer_check_hostname(const ssl_port *port, const char *hostname, bool *matches,
                                   ssl_error *err)
{
    if (matches == NULL) {
        sally_ossl_begin();
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE,
                          "ssl_peer_check_hostname: there is no place for the answer");
    }
    *matches = false;
    return check_hostname(port, hostname, matches, err);
}

/* ---- names as text ------------------------------------------------------------------------- */

/* Where the text goes. */
typedef struct text_out {
    char *text;
    size_t size;
    size_t *length;
} text_out;

static ssl_status copy_name_locked(const sally_engine *engine, bool issuer, text_out out,
                                   const char *call, ssl_error *err)
{
    if (!sally_engine_peer_name(engine, issuer, out.text, out.size, out.length)) {
        return sally_fail_memory(err, SALLY_PHASE_NONE, call);
    }
    if (*out.length >= out.size) {
        out.text[0] = '\0';
        return sally_fail(err, SALLY_LIMIT, SALLY_PHASE_NONE,
                          "%s: the name has %zu bytes and does not fit into %zu with its NUL", call,
                          *out.length, out.size);
    }
    return SALLY_OK;
}

static ssl_status name_of_peer(const ssl_port *port, bool issuer, text_out out, const char *call,
                               ssl_error *err)
{
    bool places = out.text != NULL && out.size != 0 && out.length != NULL;
    if (out.length != NULL) {
        *out.length = 0;
    }
    if (out.text != NULL && out.size != 0) {
        out.text[0] = '\0';
    }
    ssl_status status = enter(port, places, call, err);
    if (status == SALLY_OK) {
        status = copy_name_locked(port->conn->engine, issuer, out, call, err);
        leave(port);
    }
    return status;
}

ssl_status ssl_peer_subject_name(const ssl_port *port, char *text, size_t size, size_t *length,
                                 ssl_error *err)
{
    return name_of_peer(port, false, (text_out){text, size, length}, "ssl_peer_subject_name", err);
}

ssl_status ssl_peer_issuer_name(const ssl_port *port, char *text, size_t size, size_t *length,
                                ssl_error *err)
{
    return name_of_peer(port, true, (text_out){text, size, length}, "ssl_peer_issuer_name", err);
}

ssl_status ssl_peer_certificate_chain(const ssl_port *port, char **pem, size_t *length,
                                      ssl_error *err)
{
    static const char call[] = "ssl_peer_certificate_chain";
    char *found = NULL;
    size_t found_length = 0;
    ssl_status status = enter(port, pem != NULL && length != NULL, call, err);
    if (status == SALLY_OK) {
        if (!sally_engine_peer_pem(port->conn->engine, &found, &found_length)) {
            status = sally_fail_memory(err, SALLY_PHASE_NONE, call);
        }
        leave(port);
    }
    if (pem != NULL) {
        *pem = found;
    }
    if (length != NULL) {
        *length = found_length;
    }
    return status;
}

/* ---- the connection ------------------------------------------------------------------------ */

static const char *text_of(const ssl_port *port, const char *(*question)(const sally_engine *e))
{
    if (enter(port, true, "", NULL) != SALLY_OK) {
        return NULL;
    }
    const char *text = question(port->conn->engine);
    leave(port);
    return text;
}

const char *ssl_protocol_version(const ssl_port *port)
{
    return text_of(port, sally_engine_version);
}

const char *ssl_cipher_name(const ssl_port *port)
{
    return text_of(port, sally_engine_cipher);
}

/* ---- channel bindings ---------------------------------------------------------------------- */

/* `type` NULL: the default. */
static ssl_status read_binding(const ssl_port *port, const ssl_binding_type *type,
                               ssl_binding *binding, const char *call, ssl_error *err)
{
    ssl_binding found = {.length = 0};
    ssl_status status = enter(port, binding != NULL, call, err);
    if (status == SALLY_OK) {
        sally_engine *engine = port->conn->engine;
        found.type = type != NULL ? *type : sally_engine_default_binding(engine);
        status = sally_engine_binding(engine, call, &found, err);
        leave(port);
    }
    if (binding != NULL) {
        *binding = status == SALLY_OK ? found : (ssl_binding){.length = 0};
    }
    return status;
}

ssl_status ssl_channel_binding(const ssl_port *port, ssl_binding_type type, ssl_binding *binding,
                               ssl_error *err)
{
    return read_binding(port, &type, binding, "ssl_channel_binding", err);
}

ssl_status ssl_default_channel_binding(const ssl_port *port, ssl_binding *binding, ssl_error *err)
{
    return read_binding(port, NULL, binding, "ssl_default_channel_binding", err);
}
