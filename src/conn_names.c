/* L5 ports: asking for a server's context, in the middle of a handshake and without its lock (C4).
 *
 * The thread that drives the handshake asks; what it asks is the application. Meanwhile the side's slot is
 * busy, so nobody frees the engine, and the lock is free, so whoever closes a door is not held up.
 */
#include "conn.h"

void sally_conn_ask_locked(sally_conn *conn)
{
    sally_engine *engine = conn->engine;
    sally_slot *slot = &conn->slots[SALLY_IN];
    bool was_busy = slot->busy;
    slot->busy = true;
    sally_conn_unlock(conn);
    sally_engine_ask(engine);
    sally_conn_lock(conn);
    slot->busy = was_busy;
}
