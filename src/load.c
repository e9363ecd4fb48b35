/* L3 crypto: a file into memory, whole, bounded and at once (C3).
 *
 * Invariants: only a regular file is read, so nothing here waits for a writer or a device; O_NONBLOCK
 * is what lets the open of a FIFO come back. What was read is wiped before its memory is given back.
 *
 * No locks and no state.
 */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "mem.h"

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

static ssl_status check_shape(const sally_source *source, const struct stat *about, ssl_error *err)
{
    if (!S_ISREG(about->st_mode)) {
        return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                          SALLY_CANNOT_LOAD "it is %s; name a regular file", source->noun,
                          source->path, kind_of(about->st_mode));
    }
    if (about->st_size > SALLY_FILE_MAX) {
        return sally_fail(err, SALLY_LIMIT, SALLY_PHASE_CONFIG,
                          SALLY_CANNOT_LOAD "it has %lld bytes, and at most %d are read",
                          source->noun, source->path, (long long)about->st_size, SALLY_FILE_MAX);
    }
    return SALLY_OK;
}

/* Up to `file->size` bytes; less when the file has shrunk meanwhile. 0 or an errno. */
static int fill(int fd, sally_file *file)
{
    size_t done = 0;
    while (done < file->size) {
        ssize_t n = read(fd, file->bytes + done, file->size - done);
        if (n < 0 && errno != EINTR) {
            return errno;
        }
        if (n == 0) {
            break;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    file->size = done;
    return 0;
}

static ssl_status read_regular(const sally_source *source, int fd, size_t size, sally_file *file,
                               ssl_error *err)
{
    *file = (sally_file){sally_alloc(size + 1), size};
    if (file->bytes == NULL) {
        return sally_fail(err, SALLY_MEMORY, SALLY_PHASE_CONFIG, SALLY_CANNOT_LOAD "out of memory",
                          source->noun, source->path);
    }
    int error = fill(fd, file);
    if (error == 0 && file->size > 0) {
        return SALLY_OK;
    }
    sally_file_fini(file);
    if (error != 0) {
        return sally_fail_errno(err, error, SALLY_PHASE_CONFIG, "cannot load %s \"%.160s\"",
                                source->noun, source->path);
    }
    return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_CONFIG, SALLY_CANNOT_LOAD "the file is empty",
                      source->noun, source->path);
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

ssl_status sally_file_read(const sally_source *source, sally_file *file, ssl_error *err)
{
    *file = (sally_file){NULL, 0};
    int fd = open(source->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return sally_fail_errno(err, errno, SALLY_PHASE_CONFIG, "cannot load %s \"%.160s\"",
                                source->noun, source->path);
    }
    ssl_status status = read_fd(source, fd, file, err);
    close(fd);
    return status;
}

void sally_file_fini(sally_file *file)
{
    if (file->bytes != NULL) {
        OPENSSL_cleanse(file->bytes, file->size);
    }
    sally_free(file->bytes);
    *file = (sally_file){NULL, 0};
}

/* ---- what is in it ------------------------------------------------------------------------- */

bool sally_file_contains(const sally_file *file, const char *text)
{
    return memmem(file->bytes, file->size, text, strlen(text)) != NULL;
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
        {"CERTIFICATE-----", "a certificate"},
        {"-----BEGIN ", "PEM of another kind"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (sally_file_contains(file, kinds[i].mark)) {
            return kinds[i].words;
        }
    }
    return "no PEM at all";
}
