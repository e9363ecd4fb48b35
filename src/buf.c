/* L0 base: a queue of bytes that holds no memory while it is empty.
 *
 * Invariants: start + length <= capacity; data is NULL exactly when capacity is 0; consuming the
 * last byte frees the block, skipping it keeps the block until the buffer is tidied. Cost is linear in the bytes that pass through: bytes move down only
 * over at least as many consumed ones, and a new block is at least twice as large.
 *
 * No locks: a buffer belongs to whatever it is embedded in.
 */
#include "buf.h"

#include <stdint.h>
#include <string.h>

#include "mem.h"

#define CAPACITY_MIN 512

static size_t room_at_end(const sally_buf *b)
{
    return b->capacity - b->start - b->length;
}

static bool can_move_down(const sally_buf *b, size_t n)
{
    return b->length <= b->start && b->capacity - b->length >= n;
}

static void move_down(sally_buf *b)
{
    memcpy(b->data, b->data + b->start, b->length);
    b->start = 0;
}

/* The capacity for n more bytes; 0 when no such size exists. */
static size_t larger_capacity(const sally_buf *b, size_t n)
{
    if (n > SIZE_MAX / 2 - b->length) {
        return 0;
    }
    size_t capacity = b->length + n;
    if (capacity < b->capacity * 2) {
        capacity = b->capacity * 2;
    }
    return capacity < CAPACITY_MIN ? CAPACITY_MIN : capacity;
}

static bool move_to_larger(sally_buf *b, size_t n)
{
    size_t capacity = larger_capacity(b, n);
    unsigned char *data = capacity > 0 ? sally_alloc(capacity) : NULL;
    if (data == NULL) {
        return false;
    }
    if (b->data != NULL) {
        memcpy(data, b->data + b->start, b->length);
    }
    sally_free(b->data);
    b->data = data;
    b->capacity = capacity;
    b->start = 0;
    return true;
}

void *sally_buf_reserve(sally_buf *b, size_t n)
{
    if (b->data == NULL || room_at_end(b) < n) {
        if (b->data != NULL && can_move_down(b, n)) {
            move_down(b);
        } else if (!move_to_larger(b, n)) {
            return NULL;
        }
    }
    return b->data + b->start + b->length;
}

void sally_buf_commit(sally_buf *b, size_t n)
{
    b->length += n;
}

bool sally_buf_append(sally_buf *b, const void *bytes, size_t n)
{
    if (n == 0) {
        return true;
    }
    void *end = sally_buf_reserve(b, n);
    if (end == NULL) {
        return false;
    }
    memcpy(end, bytes, n);
    sally_buf_commit(b, n);
    return true;
}

void sally_buf_skip(sally_buf *b, size_t n)
{
    b->length -= n;
    b->start = b->length == 0 ? 0 : b->start + n;
}

void sally_buf_tidy(sally_buf *b)
{
    if (b->length == 0) {
        sally_buf_fini(b);
    }
}

void sally_buf_consume(sally_buf *b, size_t n)
{
    sally_buf_skip(b, n);
    sally_buf_tidy(b);
}

void sally_buf_fini(sally_buf *b)
{
    sally_free(b->data);
    *b = (sally_buf){0};
}
