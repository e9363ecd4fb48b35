/* L7 service: as much of HTTP/1.x (RFC 9112) as a scrape needs.
 *
 * Only the request line counts; fields are not looked at, and neither is a body, which is left unread:
 * every connection has one request, and every answer ends its connection. A line may end with a bare LF, and
 * empty lines before the request line are skipped (RFC 9112 section 2.2).
 */
#include "http.h"

#include <stdio.h>
#include <string.h>

typedef struct words {
    const char *at;
    size_t length;
} words;

static bool is(words w, const char *text)
{
    return w.length == strlen(text) && memcmp(w.at, text, w.length) == 0;
}

static bool begins(words w, const char *text)
{
    size_t length = strlen(text);
    return w.length >= length && memcmp(w.at, text, length) == 0;
}

static words rest_from(words w, size_t at)
{
    return (words){w.at + at, w.length - at};
}

/* Up to `end`, which is taken too; all of it where there is none. */
static words take_until(words *from, char end)
{
    const char *found = memchr(from->at, end, from->length);
    words taken = {from->at, found != NULL ? (size_t)(found - from->at) : from->length};
    *from = rest_from(*from, found != NULL ? taken.length + 1 : taken.length);
    return taken;
}

/* One line without its end; false when the end is not there yet. */
static bool take_line(words *from, words *line)
{
    if (memchr(from->at, '\n', from->length) == NULL) {
        return false;
    }
    *line = take_until(from, '\n');
    if (line->length != 0 && line->at[line->length - 1] == '\r') {
        line->length--;
    }
    return true;
}

/* The request line, if all of the head is there. */
static bool take_head(words all, words *first)
{
    words line;
    do {
        if (!take_line(&all, first)) {
            return false;
        }
    } while (first->length == 0);
    do {
        if (!take_line(&all, &line)) {
            return false;
        }
    } while (line.length != 0);
    return true;
}

/* "/path", or a proxy's "http://host/path"; what is behind a "?" does not count. */
static words path_of(words target)
{
    static const char scheme[] = "http://";
    if (begins(target, scheme)) {
        target = rest_from(target, sizeof scheme - 1);
        const char *slash = memchr(target.at, '/', target.length);
        target = rest_from(target, slash != NULL ? (size_t)(slash - target.at) : target.length);
    }
    return take_until(&target, '?');
}

static bool is_version(words version)
{
    return version.length == sizeof "HTTP/1.1" - 1 && begins(version, "HTTP/1.") &&
           version.at[version.length - 1] >= '0' && version.at[version.length - 1] <= '9';
}

int sally_http_judge(const char *request, size_t length, const char *path, bool *head_only)
{
    words line;
    *head_only = false;
    if (!take_head((words){request, length}, &line)) {
        return 0;
    }
    words method = take_until(&line, ' ');
    words target = take_until(&line, ' ');
    if (method.length == 0 || target.length == 0 || !is_version(line)) {
        return 400;
    }
    *head_only = is(method, "HEAD");
    if (!is(path_of(target), path)) {
        return 404;
    }
    return *head_only || is(method, "GET") ? 200 : 405;
}

/* ---- answers ------------------------------------------------------------------------------- */

static const char *words_for(int status)
{
    switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 431: return "Request Header Fields Too Large";
    default: return "Internal Server Error";
    }
}

static bool append_head(sally_buf *to, int status, const char *type, size_t length)
{
    char head[320];
    int size = snprintf(head, sizeof head,
                        "HTTP/1.1 %d %s\r\n"
                        "Content-Type: %.100s\r\n"
                        "Content-Length: %zu\r\n"
                        "%s"
                        "Connection: close\r\n\r\n",
                        status, words_for(status), type, length,
                        status == 405 ? "Allow: GET, HEAD\r\n" : "");
    return sally_buf_append(to, head, (size_t)size);
}

bool sally_http_answer(sally_buf *to, int status, const char *type, const sally_buf *body,
                       bool head_only)
{
    return append_head(to, status, type, body->length) &&
           (head_only || body->length == 0 ||
            sally_buf_append(to, sally_buf_front(body), body->length));
}

bool sally_http_refuse(sally_buf *to, int status, bool head_only)
{
    char line[64];
    int size = snprintf(line, sizeof line, "%d %s\n", status, words_for(status));
    return append_head(to, status, "text/plain; charset=utf-8", (size_t)size) &&
           (head_only || sally_buf_append(to, line, (size_t)size));
}
