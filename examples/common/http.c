/* Reads the head of a request by the letter of RFC 9112: what two readers of one stream read differently is
 * how requests are smuggled. Each step returns NULL to go on, or the status of a refusal. */
#include "http.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BAD_REQUEST "400 Bad Request"

#define TOKEN   "!#$%&'*+-.^_`|~" DIGITS LETTERS /* RFC 9110 section 5.6.2 */
#define DIGITS  "0123456789"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

/* ---- the head --------------------------------------------------------------------------------- */

/* The length of the head at the start of `n` bytes, its empty line included; 0: not whole yet; -1: a
 * byte that no head has, such as a bare CR or LF. The first `seen` bytes were looked at before. */
static int find_end(const char *bytes, size_t seen, size_t n)
{
    for (size_t i = seen; i < n; i++) {
        unsigned char c = (unsigned char)bytes[i];
        bool after_cr = i > 0 && bytes[i - 1] == '\r';
        if ((c == '\n') != after_cr || (iscntrl(c) && c != '\t' && c != '\r' && c != '\n')) {
            return -1;
        }
        if (c == '\n' && i >= 3 && bytes[i - 2] == '\n') {
            return (int)i + 1;
        }
    }
    return 0;
}

/* Whether the text is one or more characters of a set. */
static bool is_of(const char *text, const char *set)
{
    return *text != '\0' && text[strspn(text, set)] == '\0';
}

/* The path of a target without its query. An encoded slash or NUL is no part of any name. */
static bool decode(const char *from, char *path)
{
    for (; *from != '\0' && *from != '?'; from++) {
        *path = *from;
        if (*from == '%') {
            const char hex[] = {from[1], from[1] == '\0' ? '\0' : from[2], '\0'};
            *path = (char)strtol(hex, NULL, 16);
            if (strlen(hex) != 2 || !is_of(hex, DIGITS "ABCDEFabcdef") || *path == '\0' ||
                *path == '/') {
                return false;
            }
            from += 2;
        }
        path++;
    }
    *path = '\0';
    return true;
}

/* "/path?query", or the same behind "https://host", which a server has to take too. */
static const char *parse_target(char *target, http_request *r)
{
    if (strncasecmp(target, "http://", 7) == 0 || strncasecmp(target, "https://", 8) == 0) {
        target = strchr(target, ':') + 3;
        target += strcspn(target, "/?");
        if (*target != '/') {
            *--target = '/';
        }
    }
    if (*target != '/' || strchr(target, '#') != NULL || !decode(target + 1, r->path)) {
        return BAD_REQUEST;
    }
    target[strcspn(target, "?")] = '\0';
    r->target = target;
    /* hidden files are nobody's business, and "." and ".." are among them */
    bool hidden = r->path[0] == '.' || strstr(r->path, "/.") != NULL;
    return hidden || r->path[0] == '/' || strstr(r->path, "//") != NULL ? NOT_FOUND : NULL;
}

/* METHOD TARGET HTTP/1.x. */
static const char *parse_request_line(char *line, http_request *r, char **target)
{
    const char *method = strsep(&line, " ");
    *target = strsep(&line, " ");
    const char *version = line == NULL ? "" : line;
    if (!is_of(method, TOKEN) || strncmp(version, "HTTP/", 5) != 0 || strlen(version) != 8 ||
        version[6] != '.' || strspn(version + 5, DIGITS) != 1 || !is_of(version + 7, DIGITS)) {
        return BAD_REQUEST;
    }
    r->http_1_0 = version[7] == '0';
    r->head_only = strcmp(method, "HEAD") == 0;
    if (version[5] != '1') {
        return "505 HTTP Version Not Supported";
    }
    return r->head_only || strcmp(method, "GET") == 0 ? NULL : "405 Method Not Allowed";
}

static const char *note_field(const char *name, const char *value, http_request *r)
{
    if (strcasecmp(name, "Host") == 0) {
        r->hosts++;
        return strpbrk(value, " \t,/@") == NULL ? NULL : BAD_REQUEST;
    }
    if (strcasecmp(name, "Content-Length") == 0) {
        r->bodied = r->bodied || !is_of(value, "0");
        return is_of(value, DIGITS) ? NULL : BAD_REQUEST;
    }
    bool is_connection = strcasecmp(name, "Connection") == 0;
    r->close = r->close || (is_connection && strcasestr(value, "close") != NULL);
    r->coded = r->coded || strcasecmp(name, "Transfer-Encoding") == 0;
    r->if_range = r->if_range || strcasecmp(name, "If-Range") == 0;
    r->range = strcasecmp(name, "Range") == 0 ? value : r->range;
    r->since = strcasecmp(name, "If-Modified-Since") == 0 ? value : r->since;
    return NULL;
}

/* A name, a colon right behind it, a value; so no line that goes on in the next one either. */
static const char *parse_field(char *line, http_request *r)
{
    const char *name = strsep(&line, ":");
    if (line == NULL || !is_of(name, TOKEN)) {
        return BAD_REQUEST;
    }
    char *value = line + strspn(line, " \t");
    for (size_t n = strlen(value); n > 0 && strchr(" \t", value[n - 1]) != NULL; n--) {
        value[n - 1] = '\0';
    }
    return note_field(name, value, r);
}

static char *next_line(char **rest)
{
    char *line = strsep(rest, "\r");
    ++*rest; /* over the LF, which stands behind each CR */
    return line;
}

/* Takes a whole head to pieces, in place. NULL, or the status of a refusal. */
static const char *parse_head(char *head, http_request *r)
{
    char *target = NULL;
    head += strncmp(head, "\r\n", 2) == 0 ? 2 : 0; /* RFC 9112 section 2.2 lets one pass */
    const char *status = parse_request_line(next_line(&head), r, &target);
    while (status == NULL && *head != '\r') {
        status = parse_field(next_line(&head), r);
    }
    if (status != NULL) {
        return status;
    }
    if (r->hosts > 1 || (r->hosts == 0 && !r->http_1_0) || (r->coded && r->bodied)) {
        return BAD_REQUEST;
    }
    if (r->coded || r->bodied) { /* not read, so the connection ends behind the refusal */
        return r->coded ? "501 Not Implemented" : "413 Content Too Large";
    }
    status = parse_target(target, r);
    r->keep_alive = status == NULL && !r->close && !r->http_1_0;
    return status;
}

/* ---- its arrival ------------------------------------------------------------------------------ */

/* What has come of a head, waiting with its connection for the rest. */
typedef struct half_head {
    http_stay stay; /* first: a user pointer of http.h */
    ssl_deadline deadline;
    size_t length;
    char bytes[];
} half_head;

static http_arrival put_by(ssl_connection *connection, const char *head, size_t n,
                           ssl_deadline deadline)
{
    half_head *half = malloc(sizeof *half + n);
    if (half == NULL) {
        return HTTP_GONE;
    }
    half->stay.is_answering = false;
    half->deadline = deadline;
    half->length = n;
    memcpy(half->bytes, head, n);
    ssl_connection_set_user(connection, half, free); /* frees the one before */
    return HTTP_PART;
}

http_arrival http_receive(ssl_connection *connection, ssl_port *in, int64_t patience_ms,
                          http_request *r, const char **status)
{
    const half_head *half = ssl_connection_user(connection);
    ssl_deadline deadline = half == NULL ? ssl_deadline_after_ms(patience_ms) : half->deadline;
    size_t n = half == NULL ? 0 : half->length, got = 0;
    memcpy(r->head, half == NULL ? "" : half->bytes, n);
    if (ssl_peek(in, r->head + n, HEAD_MAX - n, &got, NULL) != SALLY_OK) {
        return HTTP_GONE;
    }
    int end = find_end(r->head, n, n + got);
    if (ssl_read_full(in, r->head + n, end > 0 ? (size_t)end - n : got, &got, NULL) != SALLY_OK) {
        return HTTP_GONE;
    }
    n += got;
    r->head[n] = '\0';
    if (end > 0) {
        ssl_connection_set_user(connection, NULL, NULL);
        *status = parse_head(r->head, r);
        return *status == NULL ? HTTP_WHOLE : HTTP_REFUSED;
    }
    bool late = ssl_deadline_after_ms(0).monotonic_ns >= deadline.monotonic_ns;
    *status = end < 0         ? BAD_REQUEST
              : n == HEAD_MAX ? "431 Request Header Fields Too Large"
                              : "408 Request Timeout";
    return end < 0 || n == HEAD_MAX || late ? HTTP_REFUSED
                                            : put_by(connection, r->head, n, deadline);
}
