/* L3 crypto: the blocks of a PEM file, whatever is in them (C3).
 *
 * Blocks that the loader does not want are passed over, because people keep key and chain in one file.
 * A block that is cut off or damaged fails the load, one that nobody wants too: OpenSSL's own reader
 * takes some of those for the end of the file, so the blocks that it found are counted against the
 * BEGIN lines. Their number is bounded, because what is made of the blocks takes time with its square.
 *
 * No locks and no state. What a block held is wiped: it may have been a key.
 */
#include "load.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "ossl.h"

static const char begin_line[] = "-----BEGIN ";

/* A load under way. */
typedef struct reading {
    const sally_source *source;
    const sally_pem_kind *kind;
    void *kept;
    BIO *bio;
    size_t blocks; /* of any kind, seen so far */
    size_t count;  /* of those that were kept */
    ssl_error *err;
} reading;

static size_t count_begin_lines(const sally_file *file)
{
    const char *at = (const char *)file->bytes;
    const char *end = at + file->size;
    size_t count = 0;
    while ((at = memmem(at, (size_t)(end - at), begin_line, strlen(begin_line))) != NULL) {
        count++;
        at += strlen(begin_line);
    }
    return count;
}

ssl_status sally_pem_count(const sally_source *source, const sally_file *file, size_t *blocks,
                           ssl_error *err)
{
    *blocks = count_begin_lines(file);
    if (*blocks > SALLY_PEM_BLOCKS_MAX) {
        return sally_fail(err, SALLY_LIMIT, SALLY_PHASE_CONFIG,
                          SALLY_CANNOT_LOAD
                          "it has %zu blocks of PEM, and at most %d are read; is it "
                          "the right file?",
                          source->noun, source->path, *blocks, SALLY_PEM_BLOCKS_MAX);
    }
    return SALLY_OK;
}

static ssl_status fail_damaged(const reading *r)
{
    return sally_fail_ossl(r->err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                           SALLY_CANNOT_LOAD "%s %zu in it is damaged or cut off; copy it anew",
                           r->source->noun, r->source->path, r->kind->noun, r->count + 1);
}

static ssl_status take_block(reading *r, const char *label, const unsigned char *der, long size)
{
    r->blocks++;
    if (!r->kind->wants(label)) {
        return SALLY_OK;
    }
    if (!r->kind->keep(r->kept, label, der, size)) {
        return fail_damaged(r);
    }
    r->count++;
    return SALLY_OK;
}

/* The next block, with *more false when there is none left. */
static ssl_status read_block(reading *r, bool *more)
{
    char *label = NULL;
    char *header = NULL;
    unsigned char *der = NULL;
    long size = 0;
    ssl_status status = SALLY_OK;

    *more = PEM_read_bio(r->bio, &label, &header, &der, &size) == 1;
    if (*more) {
        status = take_block(r, label, der, size);
    } else if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
        status = fail_damaged(r);
    }
    OPENSSL_free(label);
    OPENSSL_free(header);
    OPENSSL_clear_free(der, (size_t)size);
    return status;
}

static ssl_status read_all(reading *r, size_t expected)
{
    bool more = true;
    while (more) {
        ssl_status status = read_block(r, &more);
        if (status != SALLY_OK) {
            return status;
        }
    }
    sally_ossl_end();
    return r->blocks < expected ? fail_damaged(r) : SALLY_OK;
}

ssl_status sally_pem_read(const sally_source *source, const sally_file *file,
                          const sally_pem_kind *kind, void *kept, ssl_error *err)
{
    size_t expected;
    ssl_status status = sally_pem_count(source, file, &expected, err);
    if (status != SALLY_OK) {
        return status;
    }
    BIO *bio = BIO_new_mem_buf(file->bytes, (int)file->size);
    if (bio == NULL) {
        return sally_fail_memory(err, SALLY_PHASE_CONFIG, "loading PEM");
    }
    reading r = {.source = source, .kind = kind, .kept = kept, .bio = bio, .err = err};
    status = read_all(&r, expected);
    BIO_free(bio);
    return status;
}
