/* L3 crypto: the host name that a peer must have (hostname.h has the contract).
 *
 * OpenSSL would take an empty name for "any", and one that begins with a dot for "any name below it";
 * and it compares bytes, so that a name which is not written as certificates write it can never match.
 * All of these are refused here, where the program can still be told.
 *
 * No locks and no state.
 */
#include "hostname.h"

#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "addr.h"
#include "error.h"

/* ---- reading ------------------------------------------------------------------------------- */

/* Letters, digits, hyphens (RFC 1123 section 2.1), and the underscore that is used all the same. */
static const char name_letters[] = "abcdefghijklmnopqrstuvwxyz"
                                   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

static bool is_ascii(const char *text)
{
    while (*text != '\0' && (unsigned char)*text < 0x80) {
        text++;
    }
    return *text == '\0';
}

/* NULL when there is nothing wrong with it. */
static const char *fault_of(const char *text)
{
    if (text[0] == '\0' || text[0] == '.') {
        return "give the peer's full name or its address";
    }
    if (!is_ascii(text)) {
        return "a name with letters beyond ASCII is given in its A-label form (\"xn--...\", RFC 5890)";
    }
    if (text[strspn(text, name_letters)] != '\0') {
        return "host names are of letters, digits, hyphens and dots; a wildcard stands in "
               "certificates only";
    }
    return strstr(text, "..") != NULL ? "it has an empty label" : NULL;
}

static ssl_status refuse(const char *text, const char *call, const char *why, ssl_error *err)
{
    return sally_fail(err, SALLY_USAGE, SALLY_PHASE_HANDSHAKE,
                      "%s: the host name \"%.120s\" cannot be used: %s", call, text, why);
}

ssl_status sally_hostname_read(const char *text, const char *call, sally_hostname *name,
                               ssl_error *err)
{
    size_t length = strlen(text);
    length -= length > 1 && text[length - 1] == '.' && text[length - 2] != '.';
    if (length >= sizeof name->text) {
        return refuse(text, call, "it is longer than a host name can be", err);
    }
    memcpy(name->text, text, length);
    name->text[length] = '\0';
    name->is_address = sally_addr_is_ip(name->text);
    if (name->is_address) {
        name->text[strcspn(name->text, "%")] = '\0';
        return SALLY_OK;
    }
    const char *fault = fault_of(name->text);
    return fault != NULL ? refuse(text, call, fault, err) : SALLY_OK;
}

/* ---- matching ------------------------------------------------------------------------------ */

unsigned sally_hostname_flags(bool common_name)
{
    unsigned never = common_name ? 0 : X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;
    return X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | never;
}

bool sally_hostname_expect(SSL *ssl, const sally_hostname *name)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    return (name->is_address ? X509_VERIFY_PARAM_set1_ip_asc(param, name->text)
                             : X509_VERIFY_PARAM_set1_host(param, name->text, 0)) == 1;
}

bool sally_hostname_matches(SSL *ssl, X509 *leaf, const sally_hostname *name)
{
    unsigned flags = X509_VERIFY_PARAM_get_hostflags(SSL_get0_param(ssl));
    return (name->is_address ? X509_check_ip_asc(leaf, name->text, flags)
                             : X509_check_host(leaf, name->text, 0, flags, NULL)) == 1;
}
