/* L3 crypto: a file into memory, whole, bounded and at once; or bytes that are there already (C3).
 *
 * Invariants: only a regular file is read, so nothing here waits for a writer or a device; O_NONBLOCK
 * is what lets the open of a FIFO come back. What was read is wiped before its memory is given back;
 * bytes in memory are looked at where they lie, so that there is no second copy of a key.
 *
 * No locks and no state.
 */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "mem.h"

/* ---- sources ------------------------------------------------------------------------------- */

sally_source sally_source_file(const char *noun, const char *path)
{
    return (sally_source){noun, path, NULL, 0};
}

sally_source sally_source_bytes(const char *noun, const ssl_bytes *bytes)
{
    if (bytes == NULL || bytes->data == NULL) {
        return (sally_source){noun, NULL, NULL, 0};
    }
    return (sally_source){noun, bytes->label != NULL ? bytes->label : "(memory)", bytes->data,
                          bytes->size};
}

ssl_status sally_source_given(const sally_source *source, const char *call, ssl_error *err)
{
    return source->path != NULL ? SALLY_OK
                                : sally_fail(err, SALLY_USAGE, SALLY_PHASE_CONFIG,
                                             "%s: the %s is NULL", call, source->noun);
}

/* ---- reading ------------------------------------------------------------------------------- */

static const char *kind_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR: return "a directory";
    case S_IFIFO: return "a FIFO";
    case S_IFCHR:
    case S_IFBLK: return "a device";
    case S_IFSOCK: return "a socket";
    default: return "no regular file";
    }
}

static ssl_status check_size(const sally_source *source, long long size, ssl_error *err)
{
    if (size > SALLY_FILE_MAX) {
        return sally_fail(err, SALLY_LIMIT, SALLY_PHASE_CONFIG,
                          SALLY_CANNOT_LOAD "it has %lld bytes, and at most %d are read; is it the "
                                            "right file?",
                          source->noun, source->path, size, SALLY_FILE_MAX);
    }
    return SALLY_OK;
}

static ssl_status check_shape(const sally_source *source, const struct stat *about, ssl_error *err)
{
    if (!S_ISREG(about->st_mode)) {
        return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                          SALLY_CANNOT_LOAD "it is %s; name a regular file", source->noun,
                          source->path, kind_of(about->st_mode));
    }
    return check_size(source, (long long)about->st_size, err);
}

/* Up to `size` bytes; *done is less when the file has shrunk meanwhile. 0 or an errno. */
static int fill(int fd, unsigned char *bytes, size_t size, size_t *done)
{
    *done = 0;
    while (*done < size) {
        ssize_t n = read(fd, bytes + *done, size - *done);
        if (n < 0 && errno != EINTR) {
            return errno;
        }
        if (n == 0) {
            break;
        }
        *done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static ssl_status read_regular(const sally_source *source, int fd, size_t size, sally_file *file,
                               ssl_error *err)
{
    file->owned = sally_alloc(size);
    if (file->owned == NULL) {
        return sally_fail(err, SALLY_MEMORY, SALLY_PHASE_CONFIG, SALLY_CANNOT_LOAD "out of memory",
                          source->noun, source->path);
    }
    file->owned_size = size;
    file->bytes = file->owned;
    int error = fill(fd, file->owned, size, &file->size);
    if (error != 0) {
        return sally_fail_errno(err, error, SALLY_PHASE_CONFIG, "cannot load %s \"%.160s\"",
                                source->noun, source->path);
    }
    return SALLY_OK;
}

static ssl_status read_fd(const sally_source *source, int fd, sally_file *file, ssl_error *err)
{
    struct stat about;
    if (fstat(fd, &about) != 0) {
        return sally_fail_errno(err, errno, SALLY_PHASE_CONFIG, "cannot load %s \"%.160s\"",
                                source->noun, source->path);
    }
    ssl_status status = check_shape(source, &about, err);
    return status != SALLY_OK ? status : read_regular(source, fd, (size_t)about.st_size, file, err);
}

static ssl_status read_path(const sally_source *source, sally_file *file, ssl_error *err)
{
    int fd = open(source->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return sally_fail_errno(err, errno, SALLY_PHASE_CONFIG, "cannot load %s \"%.160s\"",
                                source->noun, source->path);
    }
    ssl_status status = read_fd(source, fd, file, err);
    close(fd);
    return status;
}

static ssl_status borrow(const sally_source *source, sally_file *file, ssl_error *err)
{
    *file = (sally_file){.bytes = source->bytes, .size = source->size};
    return check_size(source, source->size <= LLONG_MAX ? (long long)source->size : LLONG_MAX, err);
}

/* RFC 3629 section 6: it is no part of the text. */
static void skip_byte_order_mark(sally_file *file)
{
    static const unsigned char mark[] = {0xef, 0xbb, 0xbf};
    if (file->size >= sizeof mark && memcmp(file->bytes, mark, sizeof mark) == 0) {
        file->bytes += sizeof mark;
        file->size -= sizeof mark;
    }
}

ssl_status sally_file_read(const sally_source *source, sally_file *file, ssl_error *err)
{
    *file = (sally_file){.bytes = NULL};
    ssl_status status =
        source->bytes != NULL ? borrow(source, file, err) : read_path(source, file, err);
    if (status == SALLY_OK) {
        skip_byte_order_mark(file);
        if (file->size == 0) {
            status = sally_fail(err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                                SALLY_CANNOT_LOAD "it is empty; was it written in full?",
                                source->noun, source->path);
        }
    }
    if (status != SALLY_OK) {
        sally_file_fini(file);
    }
    return status;
}

void sally_file_fini(sally_file *file)
{
    if (file->owned != NULL) {
        OPENSSL_cleanse(file->owned, file->owned_size);
    }
    sally_free(file->owned);
    *file = (sally_file){.bytes = NULL};
}

/* ---- what is in it ------------------------------------------------------------------------- */

bool sally_file_contains(const sally_file *file, const char *text)
{
    return memmem(file->bytes, file->size, text, strlen(text)) != NULL;
}

/* As some editors save "Unicode" text, which PEM is not. */
static bool is_utf16(const sally_file *file)
{
    return file->size >= 2 &&
           (memcmp(file->bytes, "\xff\xfe", 2) == 0 || memcmp(file->bytes, "\xfe\xff", 2) == 0);
}

const char *sally_file_describe(const sally_file *file)
{
    /* Longer labels before those that they end with. */
    static const struct {
        const char *mark;
        const char *words;
    } kinds[] = {
        {"-----BEGIN CERTIFICATE REQUEST-----", "a certificate request"},
        {"-----BEGIN NEW CERTIFICATE REQUEST-----", "a certificate request"},
        {"PRIVATE KEY-----", "a private key"},
        {"PUBLIC KEY-----", "a public key"},
        {"-----BEGIN X509 CRL-----", "a revocation list"},
        {"DH PARAMETERS-----", "Diffie-Hellman parameters"},
        {"CERTIFICATE-----", "a certificate"},
        {"-----BEGIN ", "PEM of another kind"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (sally_file_contains(file, kinds[i].mark)) {
            return kinds[i].words;
        }
    }
    return is_utf16(file) ? "UTF-16 text, which is to be saved as ASCII," : "no PEM at all";
}
