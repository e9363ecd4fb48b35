#include "interop/peers.h"

#include <cstdio>
#include <fstream>

#include <unistd.h>

#include "support/certs.h"
#include "support/raw_channel.h"
#include "support/threads.h"

namespace sallytest
{

std::string localhost(int port)
{
    return "localhost:" + std::to_string(port);
}

int some_free_port()
{
    return ClosedPort().port();
}

static std::vector<std::string> s_server(const std::string &version,
                                         const std::vector<std::string> &more)
{
    std::vector<std::string> words = {"openssl",
                                      "s_server",
                                      "-rev",
                                      "-accept",
                                      "127.0.0.1:0",
                                      "-cert",
                                      cert_path("server.pem"),
                                      "-key",
                                      cert_path("server-key.pem"),
                                      version};
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

SServer::SServer(const std::string &version, const std::vector<std::string> &more)
    : Process(s_server(version, more)), port_(number_after("ACCEPT 127.0.0.1:"))
{
}

std::string cert_stem(const std::string &stem)
{
    std::string path = cert_path(stem + ".pem");
    return path.substr(0, path.rfind(".pem"));
}

std::vector<std::string> racket(const std::string &script,
                                const std::vector<std::string> &arguments)
{
    std::vector<std::string> words = {"racket",
                                      SALLY_TEST_SOURCE "/tests/interop/racket/" + script};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return words;
}

ScratchFile::ScratchFile(const std::string &content)
{
    static int made = 0;
    path_ = testing::TempDir() + "sally-interop-" + std::to_string(getpid()) + "-" +
            std::to_string(made++);
    std::ofstream(path_, std::ios::binary) << content;
}

ScratchFile::~ScratchFile()
{
    std::remove(path_.c_str());
}

} // namespace sallytest
