/* L2 net: functions of the program as the far side of a box (P7). No locks: transport_box.h says who is
 * where when. */
#include "mem.h"
#include "transport_box.h"

typedef struct callback_far {
    ssl_callbacks callbacks;
    bool close_original;
} callback_far;

static sally_io read_callback(void *far, void *buf, size_t n, ssl_io_result *result)
{
    const ssl_callbacks *c = &((callback_far *)far)->callbacks;
    return c->read(c->user, buf, n, result);
}

static sally_io write_callback(void *far, const void *buf, size_t n, ssl_io_result *result)
{
    const ssl_callbacks *c = &((callback_far *)far)->callbacks;
    return c->write(c->user, buf, n, result);
}

static int wait_callback(void *far, const sally_transport_wait *how)
{
    const ssl_callbacks *c = &((callback_far *)far)->callbacks;
    return c->wait(c->user, &how->what);
}

static void end_callback(void *far, bool given_back)
{
    callback_far ending = *(callback_far *)far;
    const ssl_callbacks *c = &ending.callbacks;
    sally_free(far);
    if (given_back) {
        return;
    }
    if (ending.close_original && c->close != NULL) {
        c->close(c->user);
    }
    if (c->release != NULL) {
        c->release(c->user);
    }
}

static const sally_far_ops callback_ops = {
    .read = read_callback,
    .write = write_callback,
    .wait = wait_callback,
    .end = end_callback,
};

sally_transport *sally_transport_callback_new(const ssl_callbacks *callbacks, bool close_original)
{
    callback_far *far = sally_alloc(sizeof *far);
    if (far == NULL) {
        return NULL;
    }
    far->callbacks = *callbacks;
    far->close_original = close_original;
    sally_transport *t = sally_transport_box_new(&callback_ops, far, callbacks->wait != NULL);
    if (t == NULL) {
        sally_free(far);
    }
    return t;
}
