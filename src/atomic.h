/* L0 base: the one place that names C11 atomics.
 *
 * Every atomic of the library is one of these types, and every access states its memory order by
 * the name of the function. `_seq` (sequentially consistent) is used where two threads each write
 * one word and then read the other's: a break and a waiter that is about to sleep. `_acq`/`_rel`
 * pairs publish an object; `_relaxed` is for counters that order nothing.
 */
#ifndef SALLY_ATOMIC_H
#define SALLY_ATOMIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
/* Our tests are C++17, which has no <stdatomic.h>; the layout is the same (P0943). */
extern "C++" {
#include <atomic>
}
#define SALLY_ATOMIC(type) std::atomic<type>
using std::memory_order_acq_rel;
using std::memory_order_acquire;
using std::memory_order_relaxed;
using std::memory_order_release;
using std::memory_order_seq_cst;
#else
#include <stdatomic.h>
#define SALLY_ATOMIC(type) _Atomic(type)
#endif

typedef struct sally_atomic_u64 {
    SALLY_ATOMIC(uint64_t) value;
} sally_atomic_u64;

typedef struct sally_atomic_ptr {
    SALLY_ATOMIC(void *) value;
} sally_atomic_ptr;

static inline uint64_t sally_load_seq(const sally_atomic_u64 *a)
{
    return atomic_load_explicit(&((sally_atomic_u64 *)a)->value, memory_order_seq_cst);
}

static inline uint64_t sally_load_acq(const sally_atomic_u64 *a)
{
    return atomic_load_explicit(&((sally_atomic_u64 *)a)->value, memory_order_acquire);
}

static inline uint64_t sally_load_relaxed(const sally_atomic_u64 *a)
{
    return atomic_load_explicit(&((sally_atomic_u64 *)a)->value, memory_order_relaxed);
}

static inline void sally_store_seq(sally_atomic_u64 *a, uint64_t value)
{
    atomic_store_explicit(&a->value, value, memory_order_seq_cst);
}

static inline void sally_store_rel(sally_atomic_u64 *a, uint64_t value)
{
    atomic_store_explicit(&a->value, value, memory_order_release);
}

/* On failure *expected holds what was found. */
static inline bool sally_cas_seq(sally_atomic_u64 *a, uint64_t *expected, uint64_t desired)
{
    return atomic_compare_exchange_strong_explicit(&a->value, expected, desired,
                                                   memory_order_seq_cst, memory_order_seq_cst);
}

/* Returns the value before. */
static inline uint64_t sally_add_relaxed(sally_atomic_u64 *a, uint64_t n)
{
    return atomic_fetch_add_explicit(&a->value, n, memory_order_relaxed);
}

static inline uint64_t sally_add_seq(sally_atomic_u64 *a, uint64_t n)
{
    return atomic_fetch_add_explicit(&a->value, n, memory_order_seq_cst);
}

/* Gives back one reference of a count; true for the one who gave the last. */
static inline bool sally_drop_ref(sally_atomic_u64 *refs)
{
    return atomic_fetch_sub_explicit(&refs->value, 1, memory_order_acq_rel) == 1;
}

static inline void *sally_load_ptr_seq(const sally_atomic_ptr *a)
{
    return atomic_load_explicit(&((sally_atomic_ptr *)a)->value, memory_order_seq_cst);
}

static inline void *sally_load_ptr_acq(const sally_atomic_ptr *a)
{
    return atomic_load_explicit(&((sally_atomic_ptr *)a)->value, memory_order_acquire);
}

/* Publishes `value` where there is NULL; returns what is there then, which may be another thread's. */
static inline void *sally_publish_ptr_once(sally_atomic_ptr *a, void *value)
{
    void *found = NULL;
    return atomic_compare_exchange_strong_explicit(&a->value, &found, value, memory_order_acq_rel,
                                                   memory_order_acquire)
               ? value
               : found;
}

static inline void *sally_swap_ptr_seq(sally_atomic_ptr *a, void *value)
{
    return atomic_exchange_explicit(&a->value, value, memory_order_seq_cst);
}

#endif
