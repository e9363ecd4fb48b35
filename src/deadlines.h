/* L0 base: a set of things that have deadlines, the earliest at hand.
 *
 * A binary heap of entries that are embedded in their things. Adding and removing take a number of
 * steps that is the logarithm of the size; an entry later than all others is added in one step.
 * No lock: the owner of the set brings its own.
 */
#ifndef SALLY_DEADLINES_H
#define SALLY_DEADLINES_H

#include <stddef.h>

#include "clock.h"

typedef struct sally_due {
    ssl_deadline at; /* constant while in a set */
    size_t slot;     /* its place in the set; owned by the set */
} sally_due;

/* All zero is an empty set. */
typedef struct sally_deadlines {
    sally_due **entries; /* each is no earlier than its parent, which is at (slot - 1) / 2 */
    size_t count;
    size_t capacity;
} sally_deadlines;

/* Makes room for `count` entries in all, so that adding cannot fail; false without memory. */
bool sally_deadlines_reserve(sally_deadlines *set, size_t count);
/* There is room for it. */
void sally_deadlines_add(sally_deadlines *set, sally_due *due, ssl_deadline at);
void sally_deadlines_remove(sally_deadlines *set, sally_due *due);
/* NULL when the set is empty. */
sally_due *sally_deadlines_first(const sally_deadlines *set);
/* No entry is later than `at` afterwards. */
void sally_deadlines_limit(sally_deadlines *set, ssl_deadline at);
void sally_deadlines_fini(sally_deadlines *set);

#endif
