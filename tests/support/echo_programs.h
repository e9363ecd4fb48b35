// The echo programs of the build, started by tests.
#ifndef SALLY_TEST_ECHO_PROGRAMS_H
#define SALLY_TEST_ECHO_PROGRAMS_H

#include <string>
#include <vector>

#include "support/process.h"

namespace sallytest
{

// A program that says "listening on 127.0.0.1:PORT", as the servers among the examples do; port() is 0, and the
// test has failed, when it does not.
class ListeningProgram : public Process
{
  public:
    explicit ListeningProgram(std::vector<std::string> words, const ProcessOptions &options = {});
    int port() const
    {
        return port_;
    }
    // Ends with status 0 on SIGTERM, or the test has failed.
    void drain();

  private:
    int port_;
};

// echo_server on a port that the kernel picks.
class EchoServer : public ListeningProgram
{
  public:
    explicit EchoServer(std::vector<std::string> more = {}, const ProcessOptions &options = {});
};

std::vector<std::string> echo_client_words(int port, std::vector<std::string> options = {});

// Starts it, feeds it, and waits for its end: its exit status. What came back is in *echoed.
int run_echo_client(int port, const std::string &input, std::string *echoed);

} // namespace sallytest
#endif
