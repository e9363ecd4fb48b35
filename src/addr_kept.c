/* L2 net: socket addresses that are kept for long.
 *
 * A sally_addr has room for the longest address of all, 128 bytes, of which IPv4 needs 16 and IPv6 28. A
 * connection keeps its client's for as long as it lives, so there those go into the struct itself. The name of a
 * Unix socket may be longer, and is rare: clients have none as a rule. It gets a block of its own.
 *
 * No locks: whoever owns the struct has it alone.
 */
#include "addr_kept.h"

#include <string.h>

#include "mem.h"

static bool is_apart(const sally_addr_kept *kept)
{
    return kept->length > sizeof kept->bytes;
}

/* Of one that is apart. */
static void *block_of(const sally_addr_kept *kept)
{
    void *block;
    memcpy(&block, kept->bytes, sizeof block);
    return block;
}

bool sally_addr_keep(sally_addr_kept *kept, const sally_addr *addr)
{
    sally_addr_kept made = {.length = addr->length};
    if (is_apart(&made)) {
        void *block = sally_alloc(addr->length);
        if (block == NULL) {
            return false;
        }
        memcpy(block, &addr->storage, addr->length);
        memcpy(made.bytes, &block, sizeof block);
    } else {
        memcpy(made.bytes, &addr->storage, addr->length);
    }
    sally_addr_kept_fini(kept);
    *kept = made;
    return true;
}

void sally_addr_recall(const sally_addr_kept *kept, sally_addr *addr)
{
    *addr = (sally_addr){.length = kept->length};
    memcpy(&addr->storage, is_apart(kept) ? block_of(kept) : kept->bytes, kept->length);
}

void sally_addr_kept_fini(sally_addr_kept *kept)
{
    if (is_apart(kept)) {
        sally_free(block_of(kept));
    }
    kept->length = 0;
}
