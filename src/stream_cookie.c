/* L0 base: a FILE over functions of ours, by fopencookie(3). */
#include "stream.h"

#include <errno.h>

#include "mem.h"

int sally_stream_open(const sally_stream_ops *ops, void *cookie, FILE **file)
{
    const cookie_io_functions_t functions = {
        .read = ops->read, .write = ops->write, .close = ops->close};
    *file =
        sally_mem_refuses() ? NULL : fopencookie(cookie, ops->read != NULL ? "r" : "w", functions);
    if (*file == NULL) {
        return ENOMEM; /* the modes are right: nothing else fails */
    }
    if (ops->read != NULL) {
        (void)setvbuf(*file, NULL, _IONBF, 0); /* frees no memory and needs none: cannot fail */
    }
    return 0;
}
