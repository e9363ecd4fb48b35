// What the tests with other programs at the far end share.
#ifndef SALLY_TEST_INTEROP_PEERS_H
#define SALLY_TEST_INTEROP_PEERS_H

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/process.h"

namespace sallytest
{

#define SKIP_WITHOUT(command)                                                                      \
    if (!is_installed(command)) {                                                                  \
        GTEST_SKIP() << "there is no " << (command);                                               \
    }

// "localhost:4433"
std::string localhost(int port);

// A port that nobody has, for servers that cannot pick one for themselves.
int some_free_port();

// openssl s_server with server.pem, on a port that it picks. It sends each line back to front.
class SServer : public Process
{
  public:
    // `version`: "-tls1_3"
    explicit SServer(const std::string &version, const std::vector<std::string> &more = {});
    int port() const
    {
        return port_;
    }

  private:
    int port_;
};

// ".../server" for "server": what cert_path gives, without ".pem".
std::string cert_stem(const std::string &stem);

// A script of tests/interop/racket and its arguments.
std::vector<std::string> racket(const std::string &script,
                                const std::vector<std::string> &arguments);

// Of this process; removed at the end.
class ScratchFile
{
  public:
    explicit ScratchFile(const std::string &content = "");
    ~ScratchFile();
    ScratchFile(const ScratchFile &) = delete;
    ScratchFile &operator=(const ScratchFile &) = delete;
    const std::string &path() const
    {
        return path_;
    }

  private:
    std::string path_;
};

} // namespace sallytest
#endif
