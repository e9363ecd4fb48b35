/*
 * sallyport/memory.h: giving back memory that a call returned.
 *
 * Objects have frees of their own. A list of texts and its like comes as one block, with all that it
 * points to inside, and goes as one: its parts are never freed.
 */
#ifndef SALLYPORT_MEMORY_H
#define SALLYPORT_MEMORY_H

#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Frees a block that a call of the library returned and whose comment names this function. Not free(3):
 *  the program may have another allocator than the library. NULL is fine.
 *  Ownership: takes. Threads: any. */
SALLY_API void ssl_free_block(void *block);

#ifdef __cplusplus
}
#endif
#endif
