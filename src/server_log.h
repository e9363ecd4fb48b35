/* L7 service: records of a server, on their way to its program. No lock may be held. */
#ifndef SALLY_SERVER_LOG_H
#define SALLY_SERVER_LOG_H

#include "log.h"
#include "server.h"

/* Fills in the server, and drops what is too much. Texts may be NULL. */
void sally_server_log(ssl_server *server, const ssl_log_record *record);
/* ... one that is an error and no more. */
void sally_server_log_error(ssl_server *server, ssl_log_level level, ssl_log_event event,
                            const ssl_error *why);
/* Of every event, how many were dropped and not told of yet. */
void sally_server_log_dropped(ssl_server *server);
/* What is odd about the contexts of its listeners. */
void sally_server_remark(ssl_server *server);

#endif
