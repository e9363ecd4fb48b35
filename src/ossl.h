/* L3 crypto: OpenSSL's error queue (E1). Every entry into OpenSSL is between begin and end. */
#ifndef SALLY_OSSL_H
#define SALLY_OSSL_H

#include <stdbool.h>

#include "error.h"

/* Empties the calling thread's queue: what an earlier caller left is not ours. Cheap when empty. */
void sally_ossl_begin(void);
void sally_ossl_end(void);
/* The end of a call, with what it came to: `return sally_ossl_ended(work(...))`. */
ssl_status sally_ossl_ended(ssl_status status);

/* As sally_fail; appends ": " and OpenSSL's own reason (the newest entry of the queue), sets
 * err->ossl_code, empties the queue. MEMORY instead of `status` when that is the reason. */
ssl_status sally_fail_ossl(ssl_error *err, ssl_status status, ssl_phase phase, const char *format,
                           ...) SALLY_PRINTF(4, 5);

/* Empties the queue; whether one of its entries says that memory ran out. */
bool sally_ossl_ran_out(void);

/* OpenSSL's words for a packed error code, bounded; never empty. */
void sally_ossl_reason(uint64_t code, char *text, size_t size);

#endif
