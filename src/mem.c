/* L0 base: the only caller of malloc, calloc, realloc and free.
 *
 * Everything the library allocates goes through here, so that a test can let the nth allocation of
 * its thread fail and see that the caller gives SALLY_MEMORY and leaks nothing. Sizes of zero are
 * rounded up to one: a NULL always means that there is no memory.
 *
 * No locks; the injected fault is per thread.
 */
#include "mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "sallyport/memory.h"

#ifdef SALLY_TESTING

static _Thread_local sally_fault mem_fault;

void sally_mem_fail_at(long nth, int and_all_after)
{
    mem_fault = (sally_fault){.nth = nth, .and_after = and_all_after != 0};
}

long sally_mem_count(void)
{
    return mem_fault.count;
}

static bool must_fail(void)
{
    return sally_fault_hit(&mem_fault);
}

int sally_mem_refuses(void)
{
    return must_fail();
}

#else

static inline bool must_fail(void)
{
    return false;
}

#endif

/* calloc(1, 0) may be NULL, and realloc(p, 0) frees p: neither may look like a failure. */
static size_t at_least_one(size_t size)
{
    return size > 0 ? size : 1;
}

void *sally_alloc(size_t size)
{
    return must_fail() ? NULL : calloc(1, at_least_one(size));
}

/* Overflow is refused here, because sanitizers end the program in their calloc for it. */
void *sally_alloc_array(size_t count, size_t size)
{
    bool overflows = size > 0 && count > SIZE_MAX / size;
    return must_fail() || overflows ? NULL : calloc(at_least_one(count), at_least_one(size));
}

void *sally_resize(void *block, size_t size)
{
    return must_fail() ? NULL : realloc(block, at_least_one(size));
}

char *sally_copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = sally_alloc(size);
    if (copy != NULL) {
        memcpy(copy, text, size);
    }
    return copy;
}

void sally_free(void *block)
{
    free(block);
}

void ssl_free_block(void *block)
{
    sally_free(block);
}
