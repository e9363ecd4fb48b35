/* L1 waiting: the per-thread object behind ssl_break_self and sally_wait_self.
 *
 * A thread-local pointer makes the look-up cheap; a pthread key runs the destructor when the thread
 * ends. After fork(2) the object of the surviving thread is left alone, because its descriptors are
 * shared with the parent, and a new one is made. */
#include "thread_own.h"

#include "mem.h"
#include "sync.h"

static _Thread_local sally_thread_own *own;
static pthread_key_t key;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static bool key_made;

static void leave(void *object)
{
    sally_thread_own *leaving = object;
    own = NULL;
    ssl_break_release(leaving->brk);
    sally_wake_close(&leaving->wake);
    sally_free(leaving);
}

static void make_key(void)
{
    key_made = pthread_key_create(&key, leave) == 0;
}

static sally_thread_own *make_own(void)
{
    (void)pthread_once(&key_once, make_key);
    sally_thread_own *made = key_made ? sally_alloc(sizeof *made) : NULL;
    if (made == NULL) {
        return NULL;
    }
    made->wake = SALLY_WAKE_CLOSED;
    made->process = sally_process_generation();
    if (pthread_setspecific(key, made) != 0) {
        sally_free(made);
        return NULL;
    }
    own = made;
    return made;
}

/* In the child of a fork the old object's descriptors are closed too: they are the child's copies,
 * and closing them leaves the parent's alone. */
static void renew_after_fork(void)
{
    if (own != NULL && own->process != sally_process_generation()) {
        leave(own);
    }
}

sally_thread_own *sally_thread_own_get(void)
{
    renew_after_fork();
    return own != NULL ? own : make_own();
}

const ssl_break *sally_thread_own_break(void)
{
    return own != NULL ? own->brk : NULL;
}
