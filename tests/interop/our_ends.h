// Our ends of connections with other programs.
#ifndef SALLY_TEST_INTEROP_OUR_ENDS_H
#define SALLY_TEST_INTEROP_OUR_ENDS_H

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "sallyport/names.h"
#include "support/handles.h"
#include "support/threads.h"

namespace sallytest
{

using Strings = std::vector<std::string>;
using Serve = std::function<void(Ports &)>;

// Who the certificates server.pem and sni.pem are for.
extern const char kLocalhost[];
extern const char kSecond[];

void read_to_the_end(Ports &ports);

// Serves whoever comes, one after the other, until it goes out of scope; handshakes that fail are the
// clients' to tell.
class OurServer
{
  public:
    explicit OurServer(Context context, Serve serve = read_to_the_end,
                       ssl_registry *registry = nullptr);
    ~OurServer();
    int port() const;
    // Until so many have been served to their end: a client may be gone before its server has begun.
    void wait_until_served(int count);

  private:
    void run();

    Context context_;
    Listener listener_;
    Break stop_;
    Serve serve_;
    std::atomic<int> served_{0};
    Thread thread_;
};

// Serves second.example with sni.pem, everybody else with server.pem, and notes who was asked for.
class TwoSites
{
  public:
    // `alpn`: what both speak, the best first; none: they do not look.
    explicit TwoSites(const std::vector<ssl_alpn_name> &alpn = {}, bool allow_no_match = true);
    // To be given to one OurServer, which ends before this.
    Context context();
    Strings asked();

  private:
    static ssl_status choose(const char *hostname, void *user, ssl_context **chosen);

    Context first_;
    Context second_;
    std::mutex mutex_;
    Strings asked_;
};

// To localhost, in at most 20 s, each later call too; a test failure when it does not work.
Ports connect_here(int port, const ssl_connect_options &options);
Ports connect_here(int port, ssl_context *context);

// "/O=Sallyport tests/CN=localhost"
std::string subject_of(const Ports &ports);
// What was agreed on, or "none".
std::string alpn_of(const Ports &ports);
// In hex, or "none".
std::string binding_of(const Ports &ports, ssl_binding_type type);

} // namespace sallytest
#endif
