/* L0 base: the only caller of malloc, calloc, realloc and free. */
#ifndef SALLY_MEM_H
#define SALLY_MEM_H

#include <stddef.h>

/* Zeroed memory, or NULL. Given back with sally_free. */
void *sally_alloc(size_t size);
void *sally_alloc_array(size_t count, size_t size);

/* As realloc(3), new bytes not zeroed; the old block stays valid on NULL. */
void *sally_resize(void *block, size_t size);

/* A copy of a NUL-terminated string, or NULL. */
char *sally_copy_text(const char *text);

void sally_free(void *block);

#ifdef SALLY_TESTING
/* Lets the nth allocation from now (1 = the next), and all after it if `and_all_after`, fail in the
 * calling thread; 0 stops. The test library only. */
void sally_mem_fail_at(long nth, int and_all_after);
/* Allocations made by the calling thread since sally_mem_fail_at. */
long sally_mem_count(void);
/* For an allocation that the C library makes on our behalf: counts it, and says whether it is to fail. */
int sally_mem_refuses(void);
#else
static inline int sally_mem_refuses(void)
{
    return 0;
}
#endif

#endif
