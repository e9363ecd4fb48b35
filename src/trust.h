/* L2 net: whose word is taken for who a client is: the sources that a listener believes (W8).
 *
 * A list is constant once read, so any thread may ask it. */
#ifndef SALLY_TRUST_H
#define SALLY_TRUST_H

#include "addr.h"
#include "sallyport/error.h"
#include "sallyport/proxy.h"

typedef struct sally_trust sally_trust;

/* What ssl_listen_options say of proxies. */
typedef struct sally_trust_setup {
    ssl_proxy_mode mode;
    const char *trusted;
    bool tlvs;
} sally_trust_setup;

/* *trust is NULL for SALLY_PROXY_OFF. Errors: USAGE, naming `call` and what is wrong; MEMORY. */
ssl_status sally_trust_new(const sally_trust_setup *setup, const char *call, sally_trust **trust,
                           ssl_error *err);
void sally_trust_free(sally_trust *trust);
/* Whether the extensions of proxies' headers are kept. */
bool sally_trust_keeps_tlvs(const sally_trust *trust);

typedef enum sally_standing {
    SALLY_CLIENT_DIRECT, /* it is the client: its bytes are TLS */
    SALLY_CLIENT_PROXY,  /* it says first who the client is */
    SALLY_CLIENT_REFUSED /* it may not connect here */
} sally_standing;

/* Where somebody who connects stands; `trust` may be NULL. */
sally_standing sally_trust_judge(const sally_trust *trust, const sally_addr *remote);

#endif
