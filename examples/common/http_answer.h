/* Answers of HTTP/1.1, sent as the client takes them. */
#ifndef HTTP_ANSWER_H
#define HTTP_ANSWER_H

#include <sallyport.h>

/* What is answered: a text, its head at least, and then perhaps bytes of a file. */
typedef struct http_answer {
    const char *text; /* copied */
    size_t length;
    int file; /* closed when the answer is at its end; -1: none */
    int64_t from, to;
    int64_t patience_ms; /* for the client to take it, and beyond that a second for each 16 KB */
    bool keep_alive;
} http_answer;

/*
 * Sends as much as the client takes without being waited for; no worker is held for the rest, which stays with
 * its connection as the user pointer. Returns what the handler is to return: while http_is_answering, it calls
 * http_go_on and nothing else. An answer that comes to no good end (the client is too slow, the file is shorter
 * than it was) ends the connection without a goodbye of TLS, so that nobody takes a part for the whole.
 */
ssl_served http_answer_with(ssl_connection *connection, ssl_port *out, const http_answer *answer);
bool http_is_answering(const ssl_connection *connection);
ssl_served http_go_on(ssl_connection *connection, ssl_port *out);

#endif
