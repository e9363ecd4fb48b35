/* L3 crypto: the OpenSSL that this process runs with, as shared libraries and as a whole.
 *
 * A handle is found by way of an object that only that library can have given: its address says which
 * file it came from, and a function looked up in the handle must give the same object. So the handle is
 * that of the library we call, never of another OpenSSL that the process happens to have loaded.
 *
 * Invariants: what was found out once stays, so the texts can be handed out. The handles stay open and
 * the legacy provider stays loaded for the life of the process.
 *
 * Locks: none; each answer is made in a pthread_once. Loading the provider needs no such thing, because
 * a load that failed may be tried again, and of two that succeed at once the second is given back.
 */
#include <dlfcn.h>
#include <openssl/crypto.h>
#include <openssl/opensslv.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "atomic.h"
#include "error.h"
#include "ossl.h"
#include "sallyport/library.h"

#define REASON_SIZE 256

/* ---- is it usable -------------------------------------------------------------------------- */

static struct {
    pthread_once_t once;
    char reason[REASON_SIZE]; /* empty: it is */
} usable = {.once = PTHREAD_ONCE_INIT};

static void find_usable(void)
{
    ssl_error err;
    SSL_CTX *ctx = OPENSSL_init_ssl(0, NULL) == 1 ? SSL_CTX_new(TLS_method()) : NULL;
    if (ctx == NULL) {
        (void)sally_fail_ossl(&err, SALLY_UNSUPPORTED, SALLY_PHASE_CONFIG,
                              "%s cannot make a TLS context", OpenSSL_version(OPENSSL_VERSION));
        snprintf(usable.reason, sizeof usable.reason, "%.*s", REASON_SIZE - 1, err.text);
    }
    SSL_CTX_free(ctx);
}

const char *ssl_load_fail_reason(void)
{
    sally_ossl_begin();
    (void)pthread_once(&usable.once, find_usable);
    sally_ossl_end();
    return usable.reason[0] != '\0' ? usable.reason : NULL;
}

bool ssl_available(void)
{
    return ssl_load_fail_reason() == NULL;
}

/* ---- handles ------------------------------------------------------------------------------- */

/* A library, and how to know it. */
typedef struct library {
    const char *name;
    const char *probe;               /* a function of it, */
    const void *(*ask)(void *probe); /* what that gives when it is looked up, */
    const void *(*known)(void);      /* and what it gives when we call it */
    void *handle;
    char reason[REASON_SIZE]; /* why there is no handle */
} library;

/* POSIX lets dlsym give functions; ISO C has no cast for it. */
#define AS_FUNCTION(function, object) memcpy(&(function), &(object), sizeof(function))

static const void *ask_ssl(void *probe)
{
    const SSL_METHOD *(*method)(void);
    AS_FUNCTION(method, probe);
    return method();
}

static const void *known_ssl(void)
{
    return TLS_method();
}

static const void *ask_crypto(void *probe)
{
    const char *(*version)(int);
    AS_FUNCTION(version, probe);
    return version(OPENSSL_VERSION);
}

static const void *known_crypto(void)
{
    return OpenSSL_version(OPENSSL_VERSION);
}

static library libssl = {"libssl", "TLS_method", ask_ssl, known_ssl, NULL, ""};
static library libcrypto = {"libcrypto", "OpenSSL_version", ask_crypto, known_crypto, NULL, ""};

static bool is_of(const library *lib, void *handle)
{
    void *probe = handle != NULL ? dlsym(handle, lib->probe) : NULL;
    return probe != NULL && lib->ask(probe) == lib->known();
}

/* Takes the handle of a file, or the program's for NULL, if it is the library's. Loads nothing. */
static bool take_handle(library *lib, const char *file)
{
    void *handle = dlopen(file, RTLD_NOW | RTLD_NOLOAD);
    if (is_of(lib, handle)) {
        lib->handle = handle;
    } else if (handle != NULL) {
        (void)dlclose(handle);
    }
    return lib->handle != NULL;
}

static void find_library(library *lib)
{
    Dl_info about;
    const char *file = dladdr(lib->known(), &about) != 0 ? about.dli_fname : NULL;
    if ((file == NULL || !take_handle(lib, file)) && !take_handle(lib, NULL)) {
        snprintf(lib->reason, sizeof lib->reason,
                 "%s is linked into %.160s, and not exported there", lib->name,
                 file != NULL ? file : "the program");
    }
}

static void find_libraries(void)
{
    find_library(&libssl);
    find_library(&libcrypto);
}

static const library *found(const library *lib)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    sally_ossl_begin();
    (void)pthread_once(&once, find_libraries);
    sally_ossl_end();
    return lib;
}

static const char *why_not_found(const library *lib)
{
    return found(lib)->handle == NULL ? lib->reason : NULL;
}

void *ssl_libssl(void)
{
    return found(&libssl)->handle;
}

const char *ssl_libssl_load_fail_reason(void)
{
    return why_not_found(&libssl);
}

void *ssl_libcrypto(void)
{
    return found(&libcrypto)->handle;
}

const char *ssl_libcrypto_load_fail_reason(void)
{
    return why_not_found(&libcrypto);
}

/* ---- versions ------------------------------------------------------------------------------ */

#define TEXT_OF_(x) #x
#define TEXT_OF(x)  TEXT_OF_(x)

const char *const *ssl_openssl_lib_versions(void)
{
    static const char *const versions[] = {TEXT_OF(OPENSSL_SHLIB_VERSION), NULL};
    return versions;
}

const char *ssl_openssl_version(void)
{
    return OpenSSL_version(OPENSSL_VERSION);
}

unsigned long ssl_openssl_version_number(void)
{
    return OpenSSL_version_num();
}

/* ---- the legacy provider ------------------------------------------------------------------- */

/* NULL: not loaded by us yet. */
static sally_atomic_ptr legacy;

static ssl_status load_legacy(ssl_error *err)
{
    /* The last argument keeps the default provider where it is there for want of any other. */
    OSSL_PROVIDER *loaded = OSSL_PROVIDER_try_load(NULL, "legacy", 1);
    if (loaded == NULL) {
        return sally_fail_ossl(err, SALLY_UNSUPPORTED, SALLY_PHASE_CONFIG,
                               "ssl_load_legacy_provider: OpenSSL's module \"legacy\" cannot be "
                               "loaded; it is sought in \"%.120s\", or where OPENSSL_MODULES says",
                               OPENSSL_info(OPENSSL_INFO_MODULES_DIR));
    }
    OSSL_PROVIDER *other = sally_swap_ptr_seq(&legacy, loaded);
    if (other != NULL) {
        (void)OSSL_PROVIDER_unload(other); /* one of two loads: the module stays for the other */
    }
    return SALLY_OK;
}

ssl_status ssl_load_legacy_provider(ssl_error *err)
{
    sally_ossl_begin();
    return sally_ossl_ended(sally_load_ptr_acq(&legacy) != NULL ? SALLY_OK : load_legacy(err));
}
