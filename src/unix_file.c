/* L2 net: the file of a Unix socket (unix_file.h). No locks: the record is its owner's. */
#include "unix_file.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sock.h"

void sally_unix_file_remember(const sally_addr *addr, sally_unix_file *file)
{
    struct stat found;
    const char *path = sally_addr_unix_path(addr);
    if (path != NULL && lstat(path, &found) == 0) {
        *file = (sally_unix_file){true, found.st_dev, found.st_ino};
    }
}

void sally_unix_file_remove(const sally_addr *addr, sally_unix_file *file)
{
    struct stat found;
    const char *path = sally_addr_unix_path(addr);
    if (file->exists && lstat(path, &found) == 0 && found.st_dev == file->device &&
        found.st_ino == file->inode) {
        (void)unlink(path);
    }
    file->exists = false;
}

/* A socket that listens with a full queue says EAGAIN, one of another kind EPROTOTYPE: both live. */
static bool nobody_listens(const sally_addr *addr)
{
    int fd;
    if (sally_sock_open_records(AF_UNIX, &fd) != 0) {
        return false;
    }
    int error = sally_sock_connect(fd, addr);
    sally_sock_close(fd);
    return error == ECONNREFUSED;
}

bool sally_unix_file_remove_dead(const sally_addr *addr)
{
    struct stat found;
    const char *path = sally_addr_unix_path(addr);
    return path != NULL && lstat(path, &found) == 0 && S_ISSOCK(found.st_mode) &&
           found.st_uid == geteuid() && nobody_listens(addr) && unlink(path) == 0;
}
