/* Requests of HTTP/1.1, as they come to the handler of a server. A status is its number and reason, as
 * "404 Not Found". */
#ifndef HTTP_H
#define HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include <sallyport.h>

enum { HEAD_MAX = 8192 };

#define NOT_FOUND "404 Not Found"

typedef struct http_request {
    bool keep_alive; /* what follows on the connection is the next request */
    bool head_only, http_1_0;
    bool close, coded, bodied, if_range; /* what its fields say */
    int hosts;
    const char *range, *since; /* values of Range and If-Modified-Since, or NULL */
    const char *target;        /* the path as sent, from its slash: for a redirection */
    /* decoded, relative; only the last segment may be empty, none has a dot first */
    char path[HEAD_MAX];
    char head[HEAD_MAX + 1]; /* what the others point into */
} http_request;

typedef enum http_arrival {
    HTTP_PART,    /* the handler returns SALLY_KEEP, and is called when there is more */
    HTTP_WHOLE,   /* a GET or HEAD without a body */
    HTTP_REFUSED, /* the connection ends behind the refusal */
    HTTP_GONE
} http_arrival;

/* What waits with its connection, as the user pointer, begins with this: half of a head, or what is left of
 * an answer (http_answer.h). */
typedef struct http_stay {
    bool is_answering;
} http_stay;

/*
 * Takes what has come of a request, and no byte behind it. A client that is slow to ask holds no worker: what
 * there is of a head waits with its connection, for `patience_ms` from its first byte on. Not to be called while
 * an answer is on its way. Fills in *r, all zero before; *status tells why a request is refused.
 */
http_arrival http_receive(ssl_connection *connection, ssl_port *in, int64_t patience_ms,
                          http_request *r, const char **status);

#endif
