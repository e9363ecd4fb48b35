/* L7 service: what a handler may ask of its connection, and keep with it.
 *
 * No locks: a connection is its holder's, who is in the handler now.
 */
#include "connection.h"

void sally_connection_drop_user(ssl_connection *c)
{
    void (*destroy)(void *) = c->destroy_user;
    c->destroy_user = NULL;
    if (destroy != NULL) {
        destroy(c->user);
    }
    c->user = NULL;
}

ssl_server *ssl_connection_server(const ssl_connection *connection)
{
    return connection != NULL ? connection->server : NULL;
}

ssl_break *ssl_connection_break(const ssl_connection *connection)
{
    return connection != NULL ? connection->brk : NULL;
}

bool ssl_connection_is_peer_gone(const ssl_connection *connection)
{
    int fd = connection != NULL && connection->conn != NULL ? sally_conn_fd(connection->conn) : -1;
    return fd >= 0 && sally_wait_is_hung_up(fd);
}

void ssl_connection_set_user(ssl_connection *connection, void *user, void (*destroy)(void *user))
{
    if (connection != NULL) {
        sally_connection_drop_user(connection);
        connection->user = user;
        connection->destroy_user = destroy;
    }
}

void *ssl_connection_user(const ssl_connection *connection)
{
    return connection != NULL ? connection->user : NULL;
}
