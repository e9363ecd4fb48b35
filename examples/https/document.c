/* Finds files and decides what of them is sent: see document.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "document.h"

void http_date(time_t time, char text[DATE_SIZE])
{
    struct tm parts;
    strftime(text, DATE_SIZE, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&time, &parts));
}

int document_open(int root, const char *path)
{
    struct open_how how = {.flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, root, path, &how, sizeof how);
}

static const char *type_of(const char *path)
{
    static const char *const types[] = {".html", "text/html; charset=utf-8",
                                        ".css",  "text/css",
                                        ".js",   "text/javascript",
                                        ".txt",  "text/plain; charset=utf-8",
                                        ".json", "application/json",
                                        ".svg",  "image/svg+xml",
                                        ".png",  "image/png",
                                        ".jpg",  "image/jpeg"};
    const char *suffix = strrchr(path, '.');
    for (size_t i = 0; suffix != NULL && i < sizeof types / sizeof types[0]; i += 2) {
        if (strcmp(suffix, types[i]) == 0) {
            return types[i + 1];
        }
    }
    return "application/octet-stream";
}

/* RFC 9110 section 14.1.2: first-last, first-, or -count. Several ranges, and what we do not understand,
 * are answered with the whole. */
static const char *choose_range(const char *range, int64_t size, answer *a)
{
    const char *first_text = strncasecmp(range, "bytes=", 6) == 0 ? range + 6 : "";
    size_t digits = strspn(first_text, "0123456789");
    const char *last_text = first_text + digits + (first_text[digits] == '-');
    size_t last_digits = strspn(last_text, "0123456789");
    if (first_text[digits] != '-' || last_text[last_digits] != '\0' || digits + last_digits == 0) {
        return "200 OK";
    }
    int64_t last = last_digits == 0 ? INT64_MAX : strtoll(last_text, NULL, 10);
    int64_t first = strtoll(first_text, NULL, 10);
    if (digits == 0) {
        first = size - (last < size ? last : size);
        last = INT64_MAX;
    }
    if (last < first) {
        return "200 OK";
    }
    last = last < size ? last : size - 1;
    a->length = first < size ? last + 1 - first : 0;
    if (a->length == 0) {
        snprintf(a->fields, sizeof a->fields, "Content-Range: bytes */%" PRId64 "\r\n", size);
        return "416 Range Not Satisfiable";
    }
    a->from = first;
    snprintf(a->fields, sizeof a->fields,
             "Content-Range: bytes %" PRId64 "-%" PRId64 "/%" PRId64 "\r\n", first, last, size);
    return "206 Partial Content";
}

/* With If-Range the whole is always right: it is what the client gets when its part is out of date. */
static void describe(const http_request *r, const char *type, const struct stat *about, answer *a)
{
    char modified[DATE_SIZE];
    http_date(about->st_mtime, modified);
    a->from = 0;
    a->length = about->st_size;
    a->status = "200 OK";
    a->fields[0] = '\0';
    if (r->since != NULL && strcmp(r->since, modified) == 0) {
        a->status = "304 Not Modified";
        a->no_body = true;
    } else if (r->range != NULL && !r->if_range && !r->head_only) {
        a->status = choose_range(r->range, about->st_size, a);
    }
    size_t n = strlen(a->fields);
    snprintf(a->fields + n, sizeof a->fields - n,
             "Content-Type: %s\r\nLast-Modified: %s\r\nAccept-Ranges: bytes\r\n", type, modified);
}

void document_find(int root, const http_request *r, answer *a)
{
    char path[HEAD_MAX + sizeof "index.html"];
    size_t n = strlen(r->path);
    bool index = n == 0 || r->path[n - 1] == '/';
    struct stat about = {0};
    snprintf(path, sizeof path, "%s%s", r->path, index ? "index.html" : "");
    int fd = document_open(root, path);
    if (fd < 0) {
        a->status = errno == EMFILE || errno == ENFILE ? "503 Service Unavailable" : NOT_FOUND;
        return;
    }
    if (fstat(fd, &about) == 0 && S_ISREG(about.st_mode)) {
        a->fd = fd;
        describe(r, type_of(path), &about, a);
        return;
    }
    a->status = NOT_FOUND;
    if (S_ISDIR(about.st_mode) && !index) {
        a->status = "301 Moved Permanently";
        snprintf(a->fields, sizeof a->fields, "Location: %s/\r\n", r->target);
    }
    close(fd);
}
