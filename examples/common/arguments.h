/* The command lines of the examples: options that each take a value, and operands, by one table. */
#ifndef ARGUMENTS_H
#define ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct argument {
    const char *name;  /* "--port"; without the dashes an operand, which must be given: "HOST" */
    const char **text; /* where its text goes, or NULL: */
    int *number;       /* where its number goes, from least to most */
    int least;
    int most;
} argument;

/* False, after a message on standard error that names the program and the mistake. Operands are
 * filled in the order of the table. */
bool read_arguments(int argc, char **argv, const argument *table, size_t count);

#endif
