/* What is asked and what is answered. A status is its number and reason, as "404 Not Found". */
#ifndef HTTP_H
#define HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum { HEAD_MAX = 8192, DATE_SIZE = 32 };

#define BAD_REQUEST "400 Bad Request"
#define NOT_FOUND   "404 Not Found"

typedef struct request {
    bool keep_alive; /* what follows on the connection is the next request */
    bool head_only, http_1_0;
    bool close, coded, bodied, if_range; /* what its fields say */
    int hosts;
    const char *range, *since; /* values of Range and If-Modified-Since, or NULL */
    const char *target;        /* the path as sent, from its slash: for a redirection */
    char path
        [HEAD_MAX]; /* decoded, relative; only the last segment may be empty, none has a dot first */
} request;

typedef struct answer {
    const char *status;
    char fields[HEAD_MAX + 64]; /* its own, each with its CRLF */
    int fd;                     /* of a file, of which `length` bytes are the body; or -1 */
    int64_t from, length;
    bool no_body; /* the head alone says all */
} answer;

/* The length of the head at the start of `n` bytes, its empty line included; 0: not whole yet; -1: a
 * byte that no head has, such as a bare CR or LF. The first `seen` bytes were looked at before. */
int http_head_end(const char *bytes, size_t seen, size_t n);

/* Takes a whole head to pieces, in place; *r, all zero before, points into it. NULL, or the status of a
 * refusal. */
const char *http_parse(char *head, request *r);

/* The time as HTTP writes it (RFC 9110 section 5.6.7). */
void http_date(time_t time, char text[DATE_SIZE]);

/* Opens `path` below the directory `root`: no "..", no symbolic link leads out of it, whoever makes one
 * and when (openat2(2), Linux 5.6). Does not wait for a FIFO. -1: errno tells. */
int document_open(int root, const char *path);

/* Finds what is asked for and fills in the answer, with a part of the file where that is wanted. */
void document_find(int root, const request *r, answer *a);

#endif
