/* L3 crypto: the BIO between OpenSSL and a transport (B6).
 *
 * It takes every TLS record whole. What the transport does not take at once stays here as ciphertext
 * and goes out before anything else. So OpenSSL never holds a half-sent record, never says
 * WANT_WRITE, and no retry rule binds the caller. Only SSL_read, SSL_write, SSL_do_handshake and
 * SSL_shutdown reach it, under the connection's lock.
 *
 * An end or a failure of the transport is recorded here and shown to OpenSSL as "would block", so
 * that a cut in one direction does not spoil the other: the engine reads these fields instead.
 */
#ifndef SALLY_BIO_H
#define SALLY_BIO_H

#include <openssl/bio.h>
#include <stdbool.h>

#include "buf.h"
#include "sallyport/error.h"
#include "traffic.h"
#include "transport.h"

/* The most that is taped, in bytes as they were received: a ClientHello of real life has up to 2 KiB, and
 * one that could be split into tiny records gets no further than this. */
#define SALLY_TAPE_MAX ((size_t)72 * 1024)

/* What was received while nobody knew for which context: played again to the SSL of the one chosen. */
typedef struct sally_tape {
    sally_buf bytes;
    bool playing;      /* receiving takes from the tape, until it is empty */
    ssl_status failed; /* MEMORY or LIMIT: it is not whole, and nothing more is received */
} sally_tape;

typedef struct sally_bio {
    sally_transport *next;
    sally_buf unsent;     /* ciphertext not taken yet; no memory while empty */
    bool receive_blocked; /* the last receive found nothing: only then is polling right */
    bool drained;       /* the last receive got less than it asked for: another would find nothing,
                             so within the same step none is made; the engine clears it */
    bool receive_ended; /* the transport said END */
    bool out_of_memory; /* a record could not be kept: the connection is lost */
    int receive_errno;  /* of a failed receive, or 0 */
    int send_errno;     /* of a failed send: later records are dropped; or 0 */
    unsigned long receives; /* successful ones, ever */
    sally_tape *tape;       /* owned; NULL: nothing is taped or played */
    sally_traffic *traffic; /* counts what is moved; NULL: nobody wants to know */
} sally_bio;

/* NULL when out of memory. The BIO borrows `state`. */
BIO *sally_bio_new(sally_bio *state);

/* Gives unsent ciphertext to the transport: true when none is left, or the way out is dead. */
bool sally_bio_flush(sally_bio *state);
/* Ciphertext that has not gone out: what is kept here, and what the transport holds. */
size_t sally_bio_unsent(const sally_bio *state);

/* Tapes from now on what is received. False: out of memory. */
bool sally_bio_tape(sally_bio *state);
/* The next receives get what was taped; the tape is gone once it has been played. */
void sally_bio_play(sally_bio *state);
void sally_bio_drop_tape(sally_bio *state);

#endif
