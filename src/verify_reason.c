/* L3 crypto: what was wrong with which certificate, in words (C7).
 *
 * OpenSSL keeps the number of what it found, and drops the certificate. So the verify callback makes a
 * note of it for the error text: its subject and depth, or for a wrong name the names that it has. The
 * note hangs on the SSL, as its extra data, and lives as long. It is made for failures only; without
 * memory for it the text is shorter.
 *
 * Locks: the connection's, as for everything that enters its SSL. The index is made once.
 */
#include "verify.h"

#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>

#include "certificate.h"
#include "hostname.h"
#include "mem.h"

#define ABOUT_SIZE 96

typedef struct note {
    long code; /* X509_V_ERR_... */
    int depth;
    char about[ABOUT_SIZE];
} note;

/* ---- the note ------------------------------------------------------------------------------ */

static pthread_once_t index_once = PTHREAD_ONCE_INIT;
static int note_index = -1;

static void free_note(void *parent, void *data, CRYPTO_EX_DATA *all, int at, long number,
                      void *more)
{
    (void)parent, (void)all, (void)at, (void)number, (void)more;
    sally_free(data);
}

static void make_index(void)
{
    note_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_note);
}

/* NULL without memory. */
static note *note_of(SSL *ssl)
{
    (void)pthread_once(&index_once, make_index);
    note *kept = SSL_get_ex_data(ssl, note_index);
    if (kept == NULL && note_index >= 0) {
        kept = sally_alloc(sizeof *kept);
        if (kept != NULL && SSL_set_ex_data(ssl, note_index, kept) != 1) {
            sally_free(kept);
            kept = NULL;
        }
    }
    return kept;
}

static void put_names(X509 *leaf, char *text, size_t size)
{
    char **names = NULL;
    size_t count = 0;
    size_t used = 0;
    (void)sally_certificate_names(leaf, false, &names, &count);
    for (size_t i = 0; i < count && used < size; i++) {
        used += (size_t)snprintf(text + used, size - used, "%s%s", i == 0 ? "" : ", ", names[i]);
    }
    sally_free(names);
}

bool sally_verify_is_name_error(long code)
{
    return code == X509_V_ERR_HOSTNAME_MISMATCH || code == X509_V_ERR_IP_ADDRESS_MISMATCH;
}

void sally_verify_note(X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    X509 *failed = X509_STORE_CTX_get_current_cert(store);
    note *kept = ssl != NULL ? note_of(ssl) : NULL;
    if (kept == NULL) {
        return;
    }
    *kept = (note){X509_STORE_CTX_get_error(store), X509_STORE_CTX_get_error_depth(store), ""};
    if (failed == NULL) {
        return;
    }
    if (sally_verify_is_name_error(kept->code)) {
        put_names(failed, kept->about, sizeof kept->about);
    } else {
        (void)sally_certificate_name_text(X509_get_subject_name(failed), kept->about,
                                          sizeof kept->about);
    }
}

/* ---- words --------------------------------------------------------------------------------- */

/* What can be done about it; NULL: nothing that is sure. */
static const char *way_out(long code)
{
    switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return "if this machine's clock is right, that certificate must be replaced";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return "if it is the right one, load it with ssl_load_verify_source";
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        return "if this root is to be trusted, load it with ssl_load_verify_source";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        return "load its root with ssl_load_verify_source, or have the peer send the whole chain";
    case X509_V_ERR_INVALID_PURPOSE: return "it is made for another use (extendedKeyUsage)";
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
    case X509_V_ERR_CA_MD_TOO_WEAK: return "the security level asks for a stronger one";
    case X509_V_ERR_CERT_REVOKED: return "that certificate must be replaced";
    case X509_V_ERR_UNABLE_TO_GET_CRL:
    case X509_V_ERR_CRL_HAS_EXPIRED: return "load a current revocation list of its issuer";
    default: return NULL;
    }
}

static void expected_name(SSL *ssl, char *text, size_t size)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    const char *host = X509_VERIFY_PARAM_get0_host(param, 0);
    char *ip = host == NULL ? X509_VERIFY_PARAM_get1_ip_asc(param) : NULL;
    const char *name = host != NULL ? host : ip != NULL ? ip : "the peer";
    snprintf(text, size, "%s", name);
    OPENSSL_free(ip);
}

static void say_wrong_name(const char *name, const char *words, const note *kept, char *text,
                           size_t size)
{
    const char *others = kept == NULL || kept->about[0] == '\0' ? "no host at all" : kept->about;
    snprintf(text, size, "the peer's certificate is not for %.100s (%s): it is for %s", name, words,
             others);
}

static void say_bad_chain(const char *name, const char *words, long code, const note *kept,
                          char *text, size_t size)
{
    char which[ABOUT_SIZE + 32] = "";
    const char *advice = way_out(code);
    if (kept != NULL) {
        snprintf(which, sizeof which, ": %s, depth %d", kept->about, kept->depth);
    }
    snprintf(text, size, "the certificate of %.100s is not valid: %s%s%s%s", name, words, which,
             advice != NULL ? "; " : "", advice != NULL ? advice : "");
}

static bool is_about_ocsp(long code)
{
    return code == X509_V_ERR_OCSP_VERIFY_FAILED || code == X509_V_ERR_OCSP_CERT_UNKNOWN;
}

void sally_verify_reason(SSL *ssl, const sally_verdict *verdict, char *text, size_t size)
{
    char name[SALLY_HOSTNAME_SIZE];
    const char *words = X509_verify_cert_error_string(verdict->code);
    const note *kept = note_index >= 0 ? SSL_get_ex_data(ssl, note_index) : NULL;
    if (kept != NULL && kept->code != verdict->code) {
        kept = NULL;
    }
    expected_name(ssl, name, sizeof name);
    if (!verdict->has_certificate) {
        snprintf(
            text, size,
            "the peer sent no certificate, and one is required; it must load one, or this side "
            "be content with ssl_try_verify");
    } else if (verdict->code == X509_V_ERR_OCSP_VERIFY_NEEDED) {
        snprintf(text, size, "%s sent no OCSP response, and one is required", name);
    } else if (is_about_ocsp(verdict->code)) {
        snprintf(text, size, "the OCSP response of %s does not vouch for its certificate: %s", name,
                 words);
    } else if (sally_verify_is_name_error(verdict->code)) {
        say_wrong_name(name, words, kept, text, size);
    } else {
        say_bad_chain(name, words, verdict->code, kept, text, size);
    }
}
