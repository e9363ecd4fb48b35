/* L3 crypto: a certificate as text: whom it names, who signed it, its PEM form (C7). */
#ifndef SALLY_CERTIFICATE_H
#define SALLY_CERTIFICATE_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>

/* The DNS names and addresses of subjectAltName, and the common names where there is no DNS name and
 * `common_name` says that they count. One block: *names points to *count texts and lies in it; NULL
 * when there are none. Names with bytes that no name has (a NUL, say) are left out. False: no memory. */
bool sally_certificate_names(X509 *leaf, bool common_name, char ***names, size_t *count);

/* "/O=Sallyport/CN=localhost", bytes beyond printable ASCII as \xHH; cut to `size`. Returns how long the
 * whole is; 0: no memory. */
size_t sally_certificate_name_text(const X509_NAME *name, char *text, size_t size);

/* `leaf`, then those of `others` that are not the leaf, as PEM, in a block of its own with a NUL behind
 * it. False: no memory. */
bool sally_certificate_pem(X509 *leaf, const STACK_OF(X509) * others, char **pem, size_t *length);

#endif
