/* Standard input and output that obey a break token.
 *
 * A read is made when there is something to read. A write is of at most PIPE_BUF bytes, which a pipe
 * that is ready takes without blocking. So the program is never inside a call that a break, which
 * restarts system calls, could not end.
 */
#include "standard_io.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "../common/failure.h"

ssl_status read_input(char *buf, size_t n, ssl_break *stop, size_t *got, ssl_error *err)
{
    *got = 0;
    for (;;) {
        ssl_status status = ssl_wait_fd_enable_break(STDIN_FILENO, false, stop, err);
        if (status != SALLY_OK) {
            return status;
        }
        ssize_t count = read(STDIN_FILENO, buf, n);
        if (count >= 0) {
            *got = (size_t)count;
            return SALLY_OK;
        }
        if (errno != EAGAIN && errno != EINTR) {
            return fail_local(err, errno, "cannot read standard input");
        }
    }
}

ssl_status write_output(const char *bytes, size_t n, ssl_break *stop, ssl_error *err)
{
    while (n > 0) {
        ssl_status status = ssl_wait_fd_enable_break(STDOUT_FILENO, true, stop, err);
        if (status != SALLY_OK) {
            return status;
        }
        ssize_t count = write(STDOUT_FILENO, bytes, n < PIPE_BUF ? n : PIPE_BUF);
        if (count >= 0) {
            bytes += count;
            n -= (size_t)count;
        } else if (errno != EAGAIN && errno != EINTR) {
            return fail_local(err, errno, "cannot write standard output");
        }
    }
    return SALLY_OK;
}
