/* Failures of a program's own, in the form of the library's. */
#ifndef FAILURE_H
#define FAILURE_H

#include <sallyport.h>

/* Fills *err with the text and the reason of an errno. Returns SALLY_SYSTEM. */
ssl_status fail_local(ssl_error *err, int cause, const char *format, ...) SALLY_PRINTF(3, 4);

#endif
