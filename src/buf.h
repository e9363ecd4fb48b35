/* L0 base: a queue of bytes that holds no memory while it is empty. */
#ifndef SALLY_BUF_H
#define SALLY_BUF_H

#include <stdbool.h>
#include <stddef.h>

/* All zero is an empty buffer. Bytes [start, start + length) of data are in it. */
typedef struct sally_buf {
    unsigned char *data;
    size_t capacity;
    size_t start;
    size_t length;
} sally_buf;

/* False, and nothing changed, when there is no memory. Linear in what is appended (amortised). */
bool sally_buf_append(sally_buf *b, const void *bytes, size_t n);
/* Room for n more bytes at the end, to be filled and then counted by sally_buf_commit. */
void *sally_buf_reserve(sally_buf *b, size_t n);
void sally_buf_commit(sally_buf *b, size_t n);
/* Drops n bytes from the front; frees the memory when the buffer gets empty. */
void sally_buf_consume(sally_buf *b, size_t n);
/* The same, but keeps the memory, for one who is about to fill it again and calls sally_buf_tidy then. */
void sally_buf_skip(sally_buf *b, size_t n);
/* Frees the memory if the buffer is empty. */
void sally_buf_tidy(sally_buf *b);
void sally_buf_fini(sally_buf *b);

static inline const unsigned char *sally_buf_front(const sally_buf *b)
{
    return b->data + b->start;
}

#endif
