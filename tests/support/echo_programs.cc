#include "support/echo_programs.h"

#include <csignal>

#include <gtest/gtest.h>

namespace sallytest
{

namespace
{

std::vector<std::string> server_words(std::vector<std::string> more)
{
    std::vector<std::string> words = {built("examples/echo/echo_server"), "--port", "0"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

} // namespace

ListeningProgram::ListeningProgram(std::vector<std::string> words, const ProcessOptions &options)
    : Process(std::move(words), options), port_(number_after("listening on 127.0.0.1:"))
{
}

void ListeningProgram::drain()
{
    signal(SIGTERM);
    EXPECT_EQ(0, wait()) << err();
}

EchoServer::EchoServer(std::vector<std::string> more, const ProcessOptions &options)
    : ListeningProgram(server_words(std::move(more)), options)
{
}

std::vector<std::string> echo_client_words(int port, std::vector<std::string> options)
{
    std::vector<std::string> words = {built("examples/echo/echo_client")};
    words.insert(words.end(), options.begin(), options.end());
    words.insert(words.end(), {"localhost", std::to_string(port)});
    return words;
}

int run_echo_client(int port, const std::string &input, std::string *echoed)
{
    Process client(echo_client_words(port));
    client.feed_and_close(input);
    int status = client.wait();
    EXPECT_EQ("", client.err());
    *echoed = client.out();
    return status;
}

} // namespace sallytest
