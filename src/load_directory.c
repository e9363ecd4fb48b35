/* L3 crypto: whether a directory can be searched for verify sources (C3).
 *
 * OpenSSL opens what it finds there under a hashed name in the middle of a handshake, and would wait in it
 * for who writes to a FIFO, whatever the deadline. So nothing but regular files may have such names.
 * They are looked at once: who may write to the directory is trusted as much as what is in it.
 *
 * No locks and no state.
 */
#include "load.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "error.h"

#define CANNOT_USE "cannot use verify directory \"%.160s\": "

/* As openssl-rehash(1) names certificates and lists: 8 digits of the hash, a dot, what tells them apart. */
static bool is_hashed_name(const char *name)
{
    return strspn(name, "0123456789abcdef") == 8 && name[8] == '.';
}

/* The name of the first entry that is no regular file; NULL: none. Links are followed, and may lead nowhere. */
static const char *find_odd_one(DIR *dir)
{
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) { /* NOLINT(concurrency-mt-unsafe): the DIR is ours */
        struct stat about;
        if (is_hashed_name(entry->d_name) && fstatat(dirfd(dir), entry->d_name, &about, 0) == 0 &&
            !S_ISREG(about.st_mode)) {
            return entry->d_name;
        }
    }
    return NULL;
}

/* A directory that may be searched and not be read is as it is. */
static ssl_status check_entries(const char *path, ssl_error *err)
{
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return SALLY_OK;
    }
    ssl_status status = SALLY_OK;
    const char *odd = find_odd_one(dir);
    if (odd != NULL) {
        status = sally_fail(err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                            CANNOT_USE "\"%.40s\" in it is no regular file, and handshakes would "
                                       "wait for it",
                            path, odd);
    }
    closedir(dir);
    return status;
}

ssl_status sally_directory_check(const char *path, ssl_error *err)
{
    struct stat about;
    if (stat(path, &about) != 0) {
        return sally_fail_errno(err, errno, SALLY_PHASE_CONFIG,
                                "cannot use verify directory \"%.160s\"", path);
    }
    if (!S_ISDIR(about.st_mode)) {
        return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_CONFIG,
                          CANNOT_USE "it is no directory; a file is loaded with SALLY_VERIFY_FILE",
                          path);
    }
    /* OpenSSL takes it for a list of directories (X509_LOOKUP_hash_dir(3)). */
    if (strchr(path, ':') != NULL) {
        return sally_fail(err, SALLY_CONFIG, SALLY_PHASE_CONFIG, CANNOT_USE "its path has a colon",
                          path);
    }
    return check_entries(path, err);
}
