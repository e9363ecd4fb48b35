/* L3 crypto: whom a context trusts: its verify sources (C3).
 *
 * A file is loaded at the call and kept as certificates; a directory is kept as its path, and OpenSSL
 * looks into it during handshakes; the default source is kept as a flag and read at each build.
 *
 * Locks: the context's, around the change. Room for it is made first, so that the change itself cannot
 * fail half-way.
 */
#include "context_load.h"
#include "context_record.h"

#include <string.h>

#include "load.h"
#include "mem.h"
#include "ossl.h"

static const char noun[] = "verify source";

void sally_anchors_fini(sally_anchors *trust)
{
    sk_X509_pop_free(trust->roots, X509_free);
    for (size_t i = 0; i < trust->directory_count; i++) {
        sally_free(trust->directories[i]);
    }
    sally_free(trust->directories);
    *trust = (sally_anchors){NULL, NULL, 0, false};
}

/* ---- files --------------------------------------------------------------------------------- */

/* Moves `fresh` into the trust; all or nothing. Lock held. */
static bool adopt_roots(sally_anchors *trust, STACK_OF(X509) * fresh)
{
    if (trust->roots == NULL) {
        trust->roots = sk_X509_new_null();
    }
    if (trust->roots == NULL || sk_X509_reserve(trust->roots, sk_X509_num(fresh)) != 1) {
        return false;
    }
    while (sk_X509_num(fresh) > 0) {
        sk_X509_push(trust->roots, sk_X509_shift(fresh));
    }
    return true;
}

/* The end of an edit that can run out of memory: a failed one changed nothing. */
static ssl_status finish(ssl_context *context, bool done, const char *call, ssl_error *err)
{
    if (done) {
        sally_context_edited(context);
        return SALLY_OK;
    }
    sally_mutex_unlock(&context->lock);
    return sally_fail_memory(err, SALLY_PHASE_CONFIG, call);
}

static ssl_status add_roots(ssl_context *context, const sally_source *source, const char *call,
                            ssl_error *err)
{
    STACK_OF(X509) *fresh = NULL;
    ssl_status status = sally_load_certificates(source, &fresh, err);
    if (status == SALLY_OK) {
        status = sally_context_edit(context, call, err);
    }
    if (status == SALLY_OK) {
        status = finish(context, adopt_roots(&context->trust, fresh), call, err);
    }
    sk_X509_pop_free(fresh, X509_free);
    return status;
}

static ssl_status add_file(ssl_context *context, const char *path, const char *call, ssl_error *err)
{
    sally_source source = sally_source_file(noun, path);
    return add_roots(context, &source, call, err);
}

/* ---- directories --------------------------------------------------------------------------- */

/* Lock held. */
static bool adopt_directory(sally_anchors *trust, char *path)
{
    char **grown =
        sally_resize(trust->directories, (trust->directory_count + 1) * sizeof *trust->directories);
    if (grown == NULL) {
        return false;
    }
    trust->directories = grown;
    trust->directories[trust->directory_count++] = path;
    return true;
}

static ssl_status add_directory(ssl_context *context, const char *path, const char *call,
                                ssl_error *err)
{
    ssl_status status = sally_directory_check(path, err);
    if (status != SALLY_OK) {
        return status;
    }
    char *copy = sally_copy_text(path);
    if (copy == NULL) {
        return sally_fail_memory(err, SALLY_PHASE_CONFIG, call);
    }
    status = sally_context_edit(context, call, err);
    if (status == SALLY_OK) {
        status = finish(context, adopt_directory(&context->trust, copy), call, err);
    }
    if (status != SALLY_OK) {
        sally_free(copy);
    }
    return status;
}

/* ---- any source ---------------------------------------------------------------------------- */

static ssl_status add_default(ssl_context *context, const char *call, ssl_error *err)
{
    ssl_status status = sally_context_edit(context, call, err);
    if (status == SALLY_OK) {
        context->trust.defaults = true;
        sally_context_edited(context);
    }
    return status;
}

static ssl_status refuse_store(const ssl_verify_source *source, const char *call, ssl_error *err)
{
    return sally_fail(
        err, SALLY_UNSUPPORTED, SALLY_PHASE_CONFIG,
        "%s: there is no %s \"%.160s\" on this system; use SALLY_VERIFY_DEFAULT for the "
        "roots of the system that the program runs on",
        call,
        source->kind == SALLY_VERIFY_WIN32_STORE ? "Windows certificate store" : "Mac OS keychain",
        source->path);
}

static ssl_status add_source(ssl_context *context, const ssl_verify_source *source,
                             const char *call, ssl_error *err)
{
    switch (source->kind) {
    case SALLY_VERIFY_FILE: return add_file(context, source->path, call, err);
    case SALLY_VERIFY_DIRECTORY: return add_directory(context, source->path, call, err);
    case SALLY_VERIFY_DEFAULT: return add_default(context, call, err);
    case SALLY_VERIFY_WIN32_STORE:
    case SALLY_VERIFY_MACOSX_KEYCHAIN: return refuse_store(source, call, err);
    }
    return SALLY_USAGE;
}

ssl_status sally_source_check(const ssl_verify_source *source, const char *call, ssl_error *err)
{
    bool known = source != NULL && (unsigned)source->kind <= SALLY_VERIFY_MACOSX_KEYCHAIN;
    if (!known) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG,
                          "%s: the verify source is NULL or of no known kind", call);
    }
    if (source->kind != SALLY_VERIFY_DEFAULT && source->path == NULL) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG,
                          "%s: the path of the verify source is NULL", call);
    }
    return SALLY_OK;
}

ssl_status sally_context_add_source(ssl_context *context, const ssl_verify_source *source,
                                    bool try_only, const char *call, ssl_error *err)
{
    ssl_status status = sally_context_check_open(context, call, err);
    if (status == SALLY_OK) {
        status = sally_source_check(source, call, err);
    }
    if (status != SALLY_OK) {
        return status;
    }
    status = add_source(context, source, call, err);
    bool unusable = status == SALLY_SYSTEM || status == SALLY_CONFIG || status == SALLY_LIMIT ||
                    status == SALLY_UNSUPPORTED;
    if (try_only && unusable) {
        sally_error_none(err);
        return SALLY_OK;
    }
    return status;
}

/* ---- the setters --------------------------------------------------------------------------- */

ssl_status ssl_load_verify_source(ssl_context *context, const ssl_verify_source *source,
                                  bool try_only, ssl_error *err)
{
    sally_ossl_begin();
    return sally_ossl_ended(
        sally_context_add_source(context, source, try_only, "ssl_load_verify_source", err));
}

ssl_status sally_context_load_roots(ssl_context *context, const char *path, const char *call,
                                    ssl_error *err)
{
    ssl_verify_source source = {SALLY_VERIFY_FILE, path};
    sally_ossl_begin();
    return sally_ossl_ended(sally_context_add_source(context, &source, false, call, err));
}

ssl_status ssl_load_verify_root_certificates(ssl_context *context, const char *path, ssl_error *err)
{
    return sally_context_load_roots(context, path, "ssl_load_verify_root_certificates", err);
}

ssl_status ssl_load_verify_root_certificates_bytes(ssl_context *context, const ssl_bytes *roots,
                                                   ssl_error *err)
{
    static const char call[] = "ssl_load_verify_root_certificates_bytes";
    sally_source source = sally_source_bytes(noun, roots);
    sally_ossl_begin();
    ssl_status status = sally_context_check_open(context, call, err);
    if (status == SALLY_OK) {
        status = sally_source_given(&source, call, err);
    }
    if (status == SALLY_OK) {
        status = add_roots(context, &source, call, err);
    }
    return sally_ossl_ended(status);
}
