// The echo programs of the build, started by tests.
#ifndef SALLY_TEST_ECHO_PROGRAMS_H
#define SALLY_TEST_ECHO_PROGRAMS_H

#include <string>
#include <vector>

#include "support/process.h"

namespace sallytest
{

// echo_server on a port that the kernel picks; port() is 0, and the test has failed, when it does not
// say where it listens.
class EchoServer : public Process
{
  public:
    explicit EchoServer(std::vector<std::string> more = {});
    int port() const
    {
        return port_;
    }

  private:
    int port_ = 0;
};

std::vector<std::string> echo_client_words(int port, std::vector<std::string> options = {});

// Starts it, feeds it, and waits for its end: its exit status. What came back is in *echoed.
int run_echo_client(int port, const std::string &input, std::string *echoed);

} // namespace sallytest
#endif
