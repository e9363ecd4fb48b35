/* L5 ports: questions to a connection (P5, P8, W8). */
#include <errno.h>
#include <string.h>

#include "conn.h"
#include "error.h"
#include "ossl.h"

static void describe(const sally_addr *addr, char *text, int *number)
{
    sally_addr_text(addr, text, SALLY_ADDRESS_SIZE);
    *number = sally_addr_port(addr);
}

/* Whose ends are asked for. */
typedef enum asked { OF_CLIENT, OF_SOCKET } asked;

static ssl_status local_locked(const sally_conn *conn, const char *call, sally_addr *local,
                               ssl_error *err)
{
    if (sally_conn_open_engine_locked(conn) == NULL) {
        return sally_fail(err, SALLY_CLOSED, SALLY_PHASE_NONE,
                          "%s: both ports of this connection are closed", call);
    }
    sally_transport *t = sally_engine_transport(conn->engine);
    int failed = t->ops->address != NULL ? t->ops->address(t, false, local) : ENOTSOCK;
    if (failed == ENOTSOCK) {
        return sally_fail(err, SALLY_UNSUPPORTED, SALLY_PHASE_NONE,
                          "%s: this connection does not run over a socket", call);
    }
    return failed == 0 ? SALLY_OK : sally_fail_errno(err, failed, SALLY_PHASE_NONE, "%s", call);
}

static ssl_status addresses_locked(const sally_conn *conn, asked whose, ssl_endpoints *ends,
                                   ssl_error *err)
{
    const char *call = whose == OF_CLIENT ? "ssl_addresses" : "ssl_socket_addresses";
    const sally_proxied *proxied = conn->proxied;
    sally_addr local, remote;
    ssl_status status = local_locked(conn, call, &local, err);
    if (status != SALLY_OK) {
        return status;
    }
    sally_addr_recall(&conn->remote, &remote);
    if (proxied != NULL && whose == OF_SOCKET) {
        remote = proxied->proxy;
    } else if (proxied != NULL && sally_proxied_destination(proxied) != NULL) {
        local = *sally_proxied_destination(proxied);
    }
    describe(&local, ends->local, &ends->local_port);
    describe(&remote, ends->remote, &ends->remote_port);
    return SALLY_OK;
}

static ssl_status addresses(const ssl_port *port, asked whose, ssl_endpoints *ends, ssl_error *err)
{
    sally_ossl_begin();
    if (port == NULL || ends == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE, "%s: %s is NULL",
                          whose == OF_CLIENT ? "ssl_addresses" : "ssl_socket_addresses",
                          port == NULL ? "the port" : "ends");
    }
    *ends = (ssl_endpoints){.local_port = 0};
    sally_conn_lock(port->conn);
    ssl_status status = addresses_locked(port->conn, whose, ends, err);
    sally_conn_unlock(port->conn);
    return status;
}

ssl_status ssl_addresses(const ssl_port *port, ssl_endpoints *ends, ssl_error *err)
{
    return addresses(port, OF_CLIENT, ends, err);
}

ssl_status ssl_socket_addresses(const ssl_port *port, ssl_endpoints *ends, ssl_error *err)
{
    return addresses(port, OF_SOCKET, ends, err);
}

/* A header is constant, and lives as long as the ports: no lock. */
static ssl_status find_tlv(const sally_proxied *proxied, int type, sally_tlv *tlv, ssl_error *err)
{
    if (!proxied->keeps_tlvs) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE,
                          "ssl_proxy_tlv: the listener did not keep what proxies say; set "
                          "options.proxy_tlvs for ssl_listen");
    }
    sally_tlv_found found = sally_proxied_tlv(proxied, type, tlv);
    if (found == SALLY_TLV_FOUND || found == SALLY_TLV_ABSENT) {
        return SALLY_OK;
    }
    return sally_fail(
        err, SALLY_PROTOCOL, SALLY_PHASE_NONE, "ssl_proxy_tlv: type 0x%02X: %s", (unsigned)type,
        found == SALLY_TLV_TWICE ? "the PROXY header has it more than once"
                                 : "the extensions in SALLY_TLV_SSL go beyond its end");
}

static ssl_status check_tlv_call(const ssl_port *port, int type, const void **value,
                                 const size_t *length, ssl_error *err)
{
    if (port == NULL || value == NULL || length == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE, "ssl_proxy_tlv: %s is NULL",
                          port == NULL    ? "the port"
                          : value == NULL ? "value"
                                          : "length");
    }
    if (!sally_tlv_is_type(type)) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE,
                          "ssl_proxy_tlv: %d is no type; there are 0 to 255, and 0x2000 to 0x20FF "
                          "inside of SALLY_TLV_SSL",
                          type);
    }
    return SALLY_OK;
}

ssl_status ssl_proxy_tlv(const ssl_port *port, int type, const void **value, size_t *length,
                         ssl_error *err)
{
    sally_tlv tlv = {.value = NULL};
    sally_ossl_begin();
    ssl_status status = check_tlv_call(port, type, value, length, err);
    if (status == SALLY_OK && port->conn->proxied != NULL) {
        status = find_tlv(port->conn->proxied, type, &tlv, err);
    }
    if (value != NULL) {
        *value = tlv.value;
    }
    if (length != NULL) {
        *length = tlv.length;
    }
    return status;
}

static ssl_status alpn_locked(const sally_conn *conn, void *name, size_t size, size_t *length,
                              ssl_error *err)
{
    if (sally_conn_open_engine_locked(conn) == NULL) {
        return sally_fail(err, SALLY_CLOSED, SALLY_PHASE_NONE,
                          "ssl_get_alpn_selected: both ports of this connection are closed");
    }
    size_t selected_length;
    const unsigned char *selected = sally_engine_alpn(conn->engine, &selected_length);
    if (selected_length > size) {
        return sally_fail(err, SALLY_LIMIT, SALLY_PHASE_NONE,
                          "ssl_get_alpn_selected: the name has %zu bytes, and there is room for "
                          "%zu; %d are always enough",
                          selected_length, size, SALLY_ALPN_NAME_MAX);
    }
    if (selected_length != 0) {
        memcpy(name, selected, selected_length);
    }
    *length = selected_length;
    return SALLY_OK;
}

ssl_status ssl_get_alpn_selected(const ssl_port *port, void *name, size_t size, size_t *length,
                                 ssl_error *err)
{
    sally_ossl_begin();
    if (length != NULL) {
        *length = 0;
    }
    if (port == NULL || length == NULL || (name == NULL && size != 0)) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE, "ssl_get_alpn_selected: %s is NULL",
                          port == NULL     ? "the port"
                          : length == NULL ? "length"
                                           : "name");
    }
    sally_conn_lock(port->conn);
    ssl_status status = alpn_locked(port->conn, name, size, length, err);
    sally_conn_unlock(port->conn);
    return status;
}

ssl_status ssl_port_set_timeout(ssl_port *port, int64_t timeout_ms, ssl_error *err)
{
    sally_ossl_begin();
    if (port == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE,
                          "ssl_port_set_timeout: the port is NULL");
    }
    sally_store_rel(&port->timeout_ms, (uint64_t)timeout_ms);
    return SALLY_OK;
}
