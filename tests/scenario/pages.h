// A handler that sends much, a part at a time, and keeps no worker for those who do not take it.
#ifndef SALLY_TEST_SCENARIO_PAGES_H
#define SALLY_TEST_SCENARIO_PAGES_H

#include <algorithm>
#include <string>

#include "scenario/service.h"

namespace sallytest
{

constexpr size_t kPage = 8 << 20; // more than sockets take

// A page for each request, a part at a time, as the peer takes it.
struct Page {
    size_t left = kPage;
    static void destroy(void *page)
    {
        delete static_cast<Page *>(page);
    }
};

inline ssl_served send_page(ssl_connection *connection, ssl_port *in, ssl_port *out)
{
    static const std::string part(16384, 'p');
    Page *page = static_cast<Page *>(ssl_connection_user(connection));
    if (page == nullptr) {
        char request[64];
        size_t got;
        if (ssl_read(in, request, sizeof request, &got, nullptr) != SALLY_OK) {
            return SALLY_DONE;
        }
        page = new Page;
        ssl_connection_set_user(connection, page, Page::destroy);
    }
    size_t done = 1;
    while (page->left != 0 && done != 0) {
        size_t n = std::min(page->left, part.size());
        if (ssl_write_available(out, part.data(), n, &done, nullptr) != SALLY_OK) {
            return SALLY_DONE;
        }
        page->left -= done;
    }
    if (page->left != 0) {
        return SALLY_KEEP_WRITING;
    }
    ssl_connection_set_user(connection, nullptr, nullptr);
    return SALLY_KEEP;
}

// Echoes; for a message that begins with 'p', a page.
inline ssl_served echo_or_page(ssl_connection *connection, ssl_port *in, ssl_port *out)
{
    char first = '\0';
    size_t got = 0;
    bool page = ssl_connection_user(connection) != nullptr ||
                (ssl_peek(in, &first, 1, &got, nullptr) == SALLY_OK && first == 'p');
    return page ? send_page(connection, in, out) : echo_once(connection, in, out);
}

} // namespace sallytest
#endif
