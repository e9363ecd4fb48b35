/*
 * sallyport/verify.h: what is required of the peer's certificate (C7).
 */
#ifndef SALLYPORT_VERIFY_H
#define SALLYPORT_VERIFY_H

#include "context.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Requires the peer's certificate to be valid: a client checks the server's, a server asks for the
 * client's and refuses one that sends none. Without it nothing is required.
 * Errors: SEALED. Keeps: C7. See also ssl_set_verify_hostname.
 */
SALLY_API ssl_status ssl_set_verify(ssl_context *context, bool on, ssl_error *err);
/**
 * Checks the peer's certificate against the host name given to ssl_connect, by RFC 9525: DNS names
 * and IP addresses of subjectAltName, a wildcard as the whole leftmost label only, never the common
 * name. Does not imply ssl_set_verify.
 * Errors: SEALED, USAGE (a server context). Keeps: C7.
 */
SALLY_API ssl_status ssl_set_verify_hostname(ssl_context *context, bool on, ssl_error *err);

#ifdef __cplusplus
}
#endif
#endif
