/* L0 base: a binary heap of deadlines.
 *
 * Invariants: entries[i]->slot == i, and no entry is earlier than its parent. Equal deadlines are
 * in no order. The owner's lock guards a set; there is none here.
 */
#include "deadlines.h"

#include "mem.h"

#define FIRST_CAPACITY 64

static size_t parent_of(size_t slot)
{
    return (slot - 1) / 2;
}

static bool is_earlier(const sally_due *a, const sally_due *b)
{
    return a->at.monotonic_ns < b->at.monotonic_ns;
}

static void place(sally_deadlines *set, size_t slot, sally_due *due)
{
    set->entries[slot] = due;
    due->slot = slot;
}

/* The entry belongs at `slot` or nearer to the top. */
static void rise(sally_deadlines *set, size_t slot, sally_due *due)
{
    while (slot > 0 && is_earlier(due, set->entries[parent_of(slot)])) {
        place(set, slot, set->entries[parent_of(slot)]);
        slot = parent_of(slot);
    }
    place(set, slot, due);
}

static size_t earlier_child(const sally_deadlines *set, size_t slot)
{
    size_t child = 2 * slot + 1;
    bool has_right = child + 1 < set->count;
    return has_right && is_earlier(set->entries[child + 1], set->entries[child]) ? child + 1
                                                                                 : child;
}

/* The entry belongs at `slot` or farther from the top. */
static void sink(sally_deadlines *set, size_t slot, sally_due *due)
{
    while (2 * slot + 1 < set->count) {
        size_t child = earlier_child(set, slot);
        if (!is_earlier(set->entries[child], due)) {
            break;
        }
        place(set, slot, set->entries[child]);
        slot = child;
    }
    place(set, slot, due);
}

bool sally_deadlines_reserve(sally_deadlines *set, size_t count)
{
    if (count <= set->capacity) {
        return true;
    }
    size_t capacity = set->capacity != 0 ? set->capacity : FIRST_CAPACITY;
    while (capacity < count) {
        capacity *= 2;
    }
    sally_due **entries = sally_resize(set->entries, capacity * sizeof(sally_due *));
    if (entries == NULL) {
        return false;
    }
    set->entries = entries;
    set->capacity = capacity;
    return true;
}

void sally_deadlines_add(sally_deadlines *set, sally_due *due, ssl_deadline at)
{
    due->at = at;
    rise(set, set->count++, due);
}

void sally_deadlines_remove(sally_deadlines *set, sally_due *due)
{
    sally_due *last = set->entries[--set->count];
    if (last == due) {
        return;
    }
    size_t slot = due->slot;
    if (slot > 0 && is_earlier(last, set->entries[parent_of(slot)])) {
        rise(set, slot, last);
    } else {
        sink(set, slot, last);
    }
}

sally_due *sally_deadlines_first(const sally_deadlines *set)
{
    return set->count > 0 ? set->entries[0] : NULL;
}

/* Cutting all at one value keeps their order, so nothing has to move. */
void sally_deadlines_limit(sally_deadlines *set, ssl_deadline at)
{
    for (size_t i = 0; i < set->count; i++) {
        set->entries[i]->at = sally_deadline_earlier(set->entries[i]->at, at);
    }
}

void sally_deadlines_fini(sally_deadlines *set)
{
    sally_free(set->entries);
    *set = (sally_deadlines){0};
}
