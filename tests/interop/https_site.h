// A site, the file server of the examples that serves it, and a client to ask it by hand.
#ifndef SALLY_TEST_INTEROP_HTTPS_SITE_H
#define SALLY_TEST_INTEROP_HTTPS_SITE_H

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/echo_programs.h"
#include "support/handles.h"
#include "support/scratch_dir.h"

namespace sallytest
{

// Of the file "big": stream_bytes(1, ...).
constexpr size_t kBigSize = 3 * 1024 * 1024 + 5;

// A directory to serve, and beside it what must never leave.
class Site
{
  public:
    Site();
    std::string root() const
    {
        return above_.path("root");
    }
    std::string above() const
    {
        return above_.root();
    }

  private:
    void put(const std::string &name, const std::string &bytes);

    ScratchDir above_;
};

// https_server for a site, on a port that the kernel picks.
class HttpsServer : public ListeningProgram
{
  public:
    explicit HttpsServer(const Site &site, std::vector<std::string> more = {});
};

// A site and its server, which drains at the end.
class Https : public testing::Test
{
  protected:
    void TearDown() override
    {
        server_.drain();
    }

    const Site site_;
    HttpsServer server_{site_};
};

// Connected, with a bound for reading.
Ports connect_to_server(int port);
bool send(const Ports &ports, const std::string &bytes);
// All that comes until the end, which must be a goodbye.
std::string read_to_end(const Ports &ports);
// One answer of a connection that goes on: its head, and as much body as that says.
std::string read_answer(const Ports &ports);
// Connects, sends, and reads to the end.
std::string exchange(int port, const std::string &request);

// A request of HTTP/1.1; `fields` each with CRLF. After the last one the server ends the connection.
std::string get(const std::string &target, const std::string &fields = "");
std::string last_get(const std::string &target, const std::string &fields = "");

bool has(const std::string &text, const std::string &part);
size_t count(const std::string &text, const std::string &part);
// "HTTP/1.1 200 OK"
std::string status_of(const std::string &answer);
std::string body_of(const std::string &answer);

} // namespace sallytest
#endif
