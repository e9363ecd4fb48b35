/* L7 service: as much of HTTP/1.x (RFC 9112) as a scrape needs. Knows no sockets. */
#ifndef SALLY_HTTP_H
#define SALLY_HTTP_H

#include "buf.h"

/* What to answer to a request of which these bytes are here: a status code, 200 for GET or HEAD of
 * `path`, with or without a query; 0: its head is not whole yet. */
int sally_http_judge(const char *request, size_t length, const char *path, bool *head_only);

/* Appends a whole answer; the connection is closed behind it. False: no memory, and it is not whole. */
bool sally_http_answer(sally_buf *to, int status, const char *type, const sally_buf *body,
                       bool head_only);
/* The same without a body of one's own: a line that says what the status means. */
bool sally_http_refuse(sally_buf *to, int status, bool head_only);

#endif
