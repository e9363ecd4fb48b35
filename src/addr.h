/* L2 net: socket addresses as values and as text (P5). */
#ifndef SALLY_ADDR_H
#define SALLY_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

typedef struct sally_addr {
    struct sockaddr_storage storage;
    socklen_t length; /* 0: no address */
} sally_addr;

/* Room for any text form: a Unix path (108) or IPv6 with a zone. */
#define SALLY_ADDR_TEXT_SIZE 128

/* A numeric IPv4 or IPv6 address (with a zone id, "fe80::1%eth0") or "unix:/path"; false for any
 * other text, which is then a name to look up (B8). */
bool sally_addr_parse(const char *text, int port, sally_addr *addr);
/* A Unix socket by the name that environments and options have for it: "/path" or "@name", without
 * "unix:". False for any other text, and one that is too long. */
bool sally_addr_parse_local(const char *name, sally_addr *addr);
/* The address without its port: "127.0.0.1", "fe80::1%eth0", "unix:/path", "unix:" if unnamed,
 * "unix:@name" for an abstract one. IPv4-mapped IPv6 ("::ffff:1.2.3.4") is written as IPv4. */
void sally_addr_text(const sally_addr *addr, char *text, size_t size);
/* With the port: "127.0.0.1:443", "[::1]:443", "unix:/path". */
void sally_addr_text_port(const sally_addr *addr, char *text, size_t size);
/* 0 for Unix sockets. */
int sally_addr_port(const sally_addr *addr);
/* Does nothing to Unix sockets. */
void sally_addr_set_port(sally_addr *addr, int port);
/* The path of a Unix socket with a file; NULL for any other address. Lives as long as `addr`. */
const char *sally_addr_unix_path(const sally_addr *addr);
/* Whether the text is a numeric IP address, so that no SNI is sent for it (RFC 6066). */
bool sally_addr_is_ip(const char *text);

#endif
