/* L3 crypto: since when a session lasts, through all that has been resumed of it (C6).
 *
 * For OpenSSL the time of a session begins anew with each TLS 1.3 ticket, so that a client that comes back
 * in time could go on for ever by what its certificate proved once, after it has expired or been revoked.
 * RFC 8446 section 4.6.1 recommends to bound that. So the time of the full handshake is noted in the session's
 * application data, which OpenSSL carries over to every session that comes of it, and into tickets and
 * bytes.
 *
 * No locks: a session that is noted on is the caller's alone. The callbacks run inside a handshake step.
 */
#include "session_since.h"

#include <time.h>

#include "sallyport/session.h"

/* Seconds since 1970, the highest byte first: a ticket may come to another machine. */
#define NOTE_SIZE 8

static const unsigned char *note_of(SSL_SESSION *session)
{
    void *note = NULL;
    size_t size = 0;
    bool noted = SSL_SESSION_get0_ticket_appdata(session, &note, &size) == 1 && size == NOTE_SIZE;
    return noted ? note : NULL;
}

bool sally_since_note(SSL_SESSION *session)
{
    unsigned char note[NOTE_SIZE];
    uint64_t when = (uint64_t)SSL_SESSION_get_time(session);
    if (note_of(session) != NULL) {
        return true;
    }
    for (int i = 0; i < NOTE_SIZE; i++) {
        note[i] = (unsigned char)(when >> (8 * (NOTE_SIZE - 1 - i)));
    }
    return SSL_SESSION_set1_ticket_appdata(session, note, sizeof note) == 1;
}

bool sally_since_is_within(SSL_SESSION *session, int64_t lifetime_s)
{
    const unsigned char *note = note_of(session);
    uint64_t when = 0;
    for (int i = 0; note != NULL && i < NOTE_SIZE; i++) {
        when = when << 8 | note[i];
    }
    return note != NULL && (int64_t)time(NULL) - (int64_t)when <= lifetime_s;
}

/* ---- tickets ------------------------------------------------------------------------------- */

/* Without memory the ticket goes out without the note, and means a full handshake later. */
static int on_sealing(SSL *ssl, void *unused)
{
    (void)unused;
    (void)sally_since_note(SSL_get_session(ssl));
    return 1;
}

/* What cannot be opened, or is too old, is replaced by a new ticket after a full handshake. */
static SSL_TICKET_RETURN on_opening(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                    size_t name_size, SSL_TICKET_STATUS status, void *unused)
{
    (void)ssl, (void)name, (void)name_size, (void)unused;
    bool opened = status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW;
    if (!opened || !sally_since_is_within(session, SALLY_TICKET_LIFETIME_S)) {
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    }
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

bool sally_since_configure(SSL_CTX *ctx)
{
    return SSL_CTX_set_session_ticket_cb(ctx, on_sealing, on_opening, NULL) == 1;
}
