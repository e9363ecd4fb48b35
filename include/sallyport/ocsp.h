/*
 * sallyport/ocsp.h: OCSP stapling: a server shows, in the handshake, a fresh statement of the authority
 * that its certificate has not been revoked (RFC 6066 section 8, RFC 6960, RFC 8446 section 4.4.2.1).
 */
#ifndef SALLYPORT_OCSP_H
#define SALLYPORT_OCSP_H

#include "context.h"
#include "port.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Loads the response that a server shows to clients that ask: a DER file, as `openssl ocsp -respout`
 * writes it. It is judged at once: for the certificate of this context, signed by its issuer or by one
 * that the issuer has appointed, good, and of now. So the identity comes first, and its issuer must be in
 * the chain or among the verify sources. Where the identity is replaced, so must be the response. Once it
 * has expired it is not sent; sealing remarks on it. To renew it make the context anew, as a registry
 * does by itself (ssl_registry_load with a `make` of your own).
 * Errors: SEALED, USAGE (a client context), SYSTEM (cannot read), CONFIG (the text says what is wrong with
 *   it), LIMIT, MEMORY. Keeps: C2, C6.
 */
SALLY_API ssl_status ssl_load_ocsp_response(ssl_context *context, const char *path, ssl_error *err);

/** What a client asks for. */
typedef enum ssl_ocsp_mode {
    SALLY_OCSP_OFF = 0, /**< nothing; the default */
    SALLY_OCSP_ASK,     /**< a response, which is judged if one comes */
    SALLY_OCSP_REQUIRE  /**< a response: a server without one is refused */
} ssl_ocsp_mode;

/**
 * Whether a client asks for a response. One that comes is judged against the server's chain and the
 * context's verify sources, also where ssl_set_verify is off; times may differ by five minutes. What is
 * revoked, unknown, expired, badly signed or for another certificate fails the handshake with VERIFY;
 * err.code is X509_V_ERR_CERT_REVOKED, ..._OCSP_CERT_UNKNOWN, ..._OCSP_VERIFY_FAILED, or
 * ..._OCSP_VERIFY_NEEDED where none came.
 * A resumed handshake shows no response: with SALLY_OCSP_REQUIRE no session is resumed.
 * Errors: SEALED, USAGE (a server context, no such mode). Keeps: C6.
 */
SALLY_API ssl_status ssl_set_ocsp(ssl_context *context, ssl_ocsp_mode mode, ssl_error *err);

/** What is known of the server's certificate by OCSP. */
typedef enum ssl_ocsp_status {
    SALLY_OCSP_NONE = 0, /**< nothing: not asked for, not sent, or the handshake was resumed */
    SALLY_OCSP_GOOD      /**< a response was judged good in this handshake */
} ssl_ocsp_status;

/** What this connection's handshake showed, in *status; a server's port has SALLY_OCSP_NONE. Threads: any.
 *  Errors: CLOSED (both sides closed), USAGE. Keeps: C6. */
SALLY_API ssl_status ssl_peer_ocsp_status(const ssl_port *port, ssl_ocsp_status *status,
                                          ssl_error *err);

#ifdef __cplusplus
}
#endif
#endif
