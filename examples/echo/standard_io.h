/* Standard input and output that obey a break token, as the ports of a connection do. */
#ifndef STANDARD_IO_H
#define STANDARD_IO_H

#include <stddef.h>

#include <sallyport.h>

/* Waits for at least one byte, reads at most n; SALLY_OK with *got 0 is the end of the input. */
ssl_status read_input(char *buf, size_t n, ssl_break *stop, size_t *got, ssl_error *err);

/* Writes all of it. */
ssl_status write_output(const char *bytes, size_t n, ssl_break *stop, ssl_error *err);

#endif
