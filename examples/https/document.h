/* What is answered. */
#ifndef DOCUMENT_H
#define DOCUMENT_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "../common/http.h"

enum { DATE_SIZE = 32 };

typedef struct answer {
    const char *status;
    char fields[HEAD_MAX + 64]; /* its own, each with its CRLF */
    int fd;                     /* of a file, of which `length` bytes are the body; or -1 */
    int64_t from, length;
    bool no_body; /* the head alone says all */
} answer;

/* The time as HTTP writes it (RFC 9110 section 5.6.7). */
void http_date(time_t time, char text[DATE_SIZE]);

/* Opens `path` below the directory `root`: no "..", no symbolic link leads out of it, whoever makes one
 * and when (openat2(2), Linux 5.6). Does not wait for a FIFO. -1: errno tells. */
int document_open(int root, const char *path);

/* Finds what is asked for and fills in the answer, with a part of the file where that is wanted. */
void document_find(int root, const http_request *r, answer *a);

#endif
