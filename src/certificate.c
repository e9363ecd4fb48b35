/* L3 crypto: a certificate as text (certificate.h has the contract).
 *
 * What stands in a certificate was written by a stranger. A name goes out as C text only if all of its
 * bytes are printable ASCII: one with a NUL would end early, and look like another.
 *
 * No locks and no state.
 */
#include "certificate.h"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "mem.h"

/* ---- names --------------------------------------------------------------------------------- */

/* Texts one behind the other, each with its NUL. */
typedef struct texts {
    sally_buf bytes;
    size_t count;
    bool has_dns_name;
    bool no_memory;
} texts;

static bool is_printable(const unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] <= ' ' || bytes[i] > '~') {
            return false;
        }
    }
    return n != 0;
}

static void add_text(texts *all, const void *bytes, size_t n)
{
    if (is_printable(bytes, n)) {
        bool added =
            sally_buf_append(&all->bytes, bytes, n) && sally_buf_append(&all->bytes, "", 1);
        all->no_memory = all->no_memory || !added;
        all->count++;
    }
}

static void add_string(texts *all, const ASN1_STRING *string)
{
    add_text(all, ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string));
}

static void add_address(texts *all, const ASN1_OCTET_STRING *bytes)
{
    char text[INET6_ADDRSTRLEN];
    int length = ASN1_STRING_length(bytes);
    int family = length == 4 ? AF_INET : AF_INET6;
    if ((length == 4 || length == 16) &&
        inet_ntop(family, ASN1_STRING_get0_data(bytes), text, sizeof text) != NULL) {
        add_text(all, text, strlen(text));
    }
}

static void add_alternative_names(texts *all, X509 *leaf)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS) {
            add_string(all, name->d.dNSName);
            all->has_dns_name = true;
        } else if (name->type == GEN_IPADD) {
            add_address(all, name->d.iPAddress);
        }
    }
    GENERAL_NAMES_free(names);
}

static void add_common_names(texts *all, X509 *leaf)
{
    const X509_NAME *subject = X509_get_subject_name(leaf);
    int at = -1;
    while ((at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0) {
        add_string(all, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    }
}

/* The pointers, and behind them the texts. */
static char **block_of(const texts *all)
{
    size_t table = all->count * sizeof(char *);
    char **block = sally_alloc(table + all->bytes.length);
    if (block == NULL) {
        return NULL;
    }
    char *text = (char *)block + table;
    memcpy(text, sally_buf_front(&all->bytes), all->bytes.length);
    for (size_t i = 0; i < all->count; i++) {
        block[i] = text;
        text += strlen(text) + 1;
    }
    return block;
}

bool sally_certificate_names(X509 *leaf, bool common_name, char ***names, size_t *count)
{
    texts all = {.count = 0};
    add_alternative_names(&all, leaf);
    if (common_name && !all.has_dns_name) {
        add_common_names(&all, leaf);
    }
    *names = all.count != 0 && !all.no_memory ? block_of(&all) : NULL;
    bool done = *names != NULL || all.count == 0;
    *count = done ? all.count : 0;
    sally_buf_fini(&all.bytes);
    return done;
}

size_t sally_certificate_name_text(const X509_NAME *name, char *text, size_t size)
{
    char *whole = X509_NAME_oneline(name, NULL, 0);
    if (whole == NULL) {
        return 0;
    }
    size_t length = strlen(whole);
    snprintf(text, size, "%s", whole);
    OPENSSL_free(whole);
    return length;
}

/* ---- PEM ----------------------------------------------------------------------------------- */

static bool write_chain(BIO *bio, X509 *leaf, const STACK_OF(X509) * others)
{
    bool written = PEM_write_bio_X509(bio, leaf) == 1;
    for (int i = 0; written && i < sk_X509_num(others); i++) {
        X509 *next = sk_X509_value(others, i);
        written = next == leaf || PEM_write_bio_X509(bio, next) == 1;
    }
    return written;
}

bool sally_certificate_pem(X509 *leaf, const STACK_OF(X509) * others, char **pem, size_t *length)
{
    char *bytes = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    bool written = bio != NULL && write_chain(bio, leaf, others);
    size_t n = written ? (size_t)BIO_get_mem_data(bio, &bytes) : 0;
    *pem = written ? sally_alloc(n + 1) : NULL;
    *length = *pem != NULL ? n : 0;
    if (*pem != NULL) {
        memcpy(*pem, bytes, n);
    }
    BIO_free(bio);
    return *pem != NULL;
}
