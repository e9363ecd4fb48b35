/* L3 crypto: the host name that a peer must have: how it is written, and whether a certificate has it
 * (RFC 9525). */
#ifndef SALLY_HOSTNAME_H
#define SALLY_HOSTNAME_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "sallyport/error.h"

/* A DNS name (RFC 1035 section 2.3.4) or an address, with its NUL. */
#define SALLY_HOSTNAME_SIZE 256

typedef struct sally_hostname {
    char text[SALLY_HOSTNAME_SIZE];
    bool is_address;
} sally_hostname;

/* As it is sent and looked for: the dot that ends an absolute DNS name and the zone of an address are no
 * part of it. Errors: USAGE (text that names nobody, or not in ASCII). */
ssl_status sally_hostname_read(const char *text, const char *call, sally_hostname *name,
                               ssl_error *err);

/* How DNS names are matched, as X509_CHECK_FLAG_...: a wildcard as the whole leftmost label only, and
 * the common name only where a context allows it and there is no DNS name. */
unsigned sally_hostname_flags(bool common_name);
/* Lets OpenSSL look for it while it judges the chain. False: no memory. */
bool sally_hostname_expect(SSL *ssl, const sally_hostname *name);
/* Whether the certificate has it, with the flags of `ssl`. */
bool sally_hostname_matches(SSL *ssl, X509 *leaf, const sally_hostname *name);

#endif
