/* Preloaded into a program: a name lookup that never ends, as with a name server that is gone. */
#include <netdb.h>
#include <unistd.h>

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **result)
{
    (void)node;
    (void)service;
    (void)hints;
    (void)result;
    for (;;) {
        pause();
    }
}
