/* L1 waiting: tokens without a wake of their own, and the bank they borrow from (W2).
 *
 * A server's connection needs a wake only while a handler runs, so each worker takes one from the bank
 * and lends it to the token of the connection it serves. A sender may still hold the wake's address
 * when it is taken back; that is harmless: the bank closes its wakes only when the last token and the
 * server have released it, and a raise that comes late is calmed by the wake's next waiter.
 * The bank's list is guarded by its mutex; the wakes themselves are constant once open.
 */
#include <errno.h>

#include "break_object.h"
#include "clock.h"
#include "list.h"
#include "mem.h"
#include "sync.h"

typedef struct bank_entry {
    sally_wake wake;
    sally_node node;
} bank_entry;

struct sally_wake_bank {
    sally_atomic_u64 refs;
    sally_mutex lock;
    sally_node idle; /* lock */
};

sally_wake_bank *sally_wake_bank_new(void)
{
    sally_wake_bank *bank = sally_alloc(sizeof *bank);
    if (bank != NULL) {
        sally_store_rel(&bank->refs, 1);
        sally_mutex_init(&bank->lock, SALLY_RANK_WAKE);
        sally_list_init(&bank->idle);
    }
    return bank;
}

static void free_entry(bank_entry *entry)
{
    sally_wake_close(&entry->wake);
    sally_free(entry);
}

/* Every wake is back by now: a worker gives its own before the server releases the bank. */
void sally_wake_bank_release(sally_wake_bank *bank)
{
    if (bank == NULL || !sally_drop_ref(&bank->refs)) {
        return;
    }
    sally_node *node;
    while ((node = sally_list_take_first(&bank->idle)) != NULL) {
        free_entry(SALLY_CONTAINER(node, bank_entry, node));
    }
    sally_mutex_fini(&bank->lock);
    sally_free(bank);
}

static bank_entry *open_entry(void)
{
    bank_entry *entry = sally_alloc(sizeof *entry);
    int error = entry != NULL ? sally_wake_open(&entry->wake) : ENOMEM;
    if (error != 0) {
        sally_free(entry);
        errno = error;
        return NULL;
    }
    return entry;
}

const sally_wake *sally_wake_bank_take(sally_wake_bank *bank)
{
    sally_mutex_lock(&bank->lock);
    sally_node *node = sally_list_take_first(&bank->idle);
    sally_mutex_unlock(&bank->lock);
    bank_entry *entry = node != NULL ? SALLY_CONTAINER(node, bank_entry, node) : open_entry();
    return entry != NULL ? &entry->wake : NULL;
}

void sally_wake_bank_give(sally_wake_bank *bank, const sally_wake *wake)
{
    bank_entry *entry = (bank_entry *)(uintptr_t)wake; /* the wake is its entry's first field */
    sally_mutex_lock(&bank->lock);
    sally_list_init(&entry->node);
    sally_list_append(&bank->idle, &entry->node);
    sally_mutex_unlock(&bank->lock);
}

ssl_status sally_break_new_owner(sally_wake_bank *bank, ssl_break **brk, ssl_error *err)
{
    ssl_status status = sally_break_make(NULL, brk, err);
    if (status == SALLY_OK) {
        (void)sally_add_relaxed(&bank->refs, 1);
        (*brk)->bank = bank;
        (*brk)->sendable = true;
    }
    return status;
}

void sally_break_lend(ssl_break *brk, const sally_wake *wake)
{
    (void)sally_swap_ptr_seq(&brk->wake, (void *)(uintptr_t)wake);
}

/* ---- how long breaks take (W9) ------------------------------------------------------------- */

/* The first one stays. clock_gettime(2) is async-signal-safe, as a send must be (B3). */
static void note_time(sally_atomic_u64 *at)
{
    uint64_t none = 0;
    (void)sally_cas_seq(at, &none, (uint64_t)sally_now_ns());
}

/* The time is there before the word, so whoever sees the break finds it. */
void sally_break_note_send(ssl_break *brk)
{
    note_time(&brk->sent_ns);
}

void sally_break_note_report(ssl_break *brk)
{
    if (sally_load_seq(&brk->sent_ns) != 0) {
        note_time(&brk->reported_ns);
    }
}

/* The report may be that of an earlier break, by another thread that was late to note it. */
bool sally_break_take_latency(ssl_break *brk, int64_t *ns)
{
    uint64_t sent = sally_load_relaxed(&brk->sent_ns);
    if (sent == 0) {
        return false;
    }
    uint64_t reported = sally_load_seq(&brk->reported_ns);
    sally_store_seq(&brk->sent_ns, 0);
    sally_store_seq(&brk->reported_ns, 0);
    *ns = (reported >= sent ? (int64_t)reported : sally_now_ns()) - (int64_t)sent;
    return true;
}
