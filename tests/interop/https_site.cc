#include "interop/https_site.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/certs.h"
#include "support/pairs.h"
#include "support/rng.h"

namespace sallytest
{

namespace
{

std::vector<std::string> words(const Site &site, std::vector<std::string> more)
{
    std::vector<std::string> all = {built("examples/https/https_server")};
    all.insert(all.end(), more.begin(), more.end());
    all.push_back(site.root());
    return all;
}

} // namespace

Site::Site()
{
    mkdir(root().c_str(), 0755);
    mkdir((root() + "/sub").c_str(), 0755);
    mkdir(above_.path("beside").c_str(), 0755);
    put("secret.txt", "secret");
    put("beside/secret.txt", "secret");
    put("root/index.html", "<p>Open both doors.\n");
    put("root/sub/index.html", "below\n");
    put("root/digits.txt", "0123456789");
    put("root/empty", "");
    put("root/with space.css", "p {}\n");
    put("root/.hidden", "secret");
    put("root/big", stream_bytes(1, 0, kBigSize));
    EXPECT_EQ(0, symlink("digits.txt", (root() + "/inside.txt").c_str()));
    EXPECT_EQ(0, symlink("../secret.txt", (root() + "/outside.txt").c_str()));
    EXPECT_EQ(0, symlink(above_.path("secret.txt").c_str(), (root() + "/absolute").c_str()));
    EXPECT_EQ(0, symlink("../beside", (root() + "/beside").c_str()));
    EXPECT_EQ(0, mkfifo((root() + "/fifo").c_str(), 0644));
}

void Site::put(const std::string &name, const std::string &bytes)
{
    above_.write(name, bytes);
}

HttpsServer::HttpsServer(const Site &site, std::vector<std::string> more)
    : ListeningProgram(words(site, std::move(more)))
{
}

Ports connect_to_server(int port)
{
    Ports ports;
    ssl_error err;
    Context context = client_context();
    EXPECT_TRUE(
        is(SALLY_OK, ssl_connect("127.0.0.1", port, context.get(), ports.fill(), &err), err));
    if (ports) {
        EXPECT_EQ(SALLY_OK, ssl_port_set_timeout(ports.in(), slow(30) * 1000, nullptr));
    }
    return ports;
}

bool send(const Ports &ports, const std::string &bytes)
{
    return ssl_write(ports.out(), bytes.data(), bytes.size(), nullptr, nullptr) == SALLY_OK;
}

std::string read_to_end(const Ports &ports)
{
    std::string all;
    char buf[16384];
    size_t got = 0;
    ssl_error err;
    ssl_status status;
    while ((status = ssl_read(ports.in(), buf, sizeof buf, &got, &err)) == SALLY_OK) {
        all.append(buf, got);
    }
    EXPECT_TRUE(is(SALLY_EOF, status, err));
    return all;
}

std::string read_answer(const Ports &ports)
{
    std::string head;
    char line[8192];
    size_t length = 0, body = 0;
    do {
        ssl_error err;
        if (!is(SALLY_OK, ssl_read_line(ports.in(), line, sizeof line, &length, &err), err)) {
            ADD_FAILURE() << "no whole head, only: " << head;
            return head;
        }
        head.append(line, length);
        if (std::string(line).rfind("Content-Length: ", 0) == 0) {
            body = std::stoul(std::string(line).substr(16));
        }
    } while (length > 2);
    std::string bytes(body, '\0');
    size_t got = 0;
    EXPECT_EQ(SALLY_OK, ssl_read_full(ports.in(), bytes.data(), body, &got, nullptr));
    return head + bytes;
}

std::string exchange(int port, const std::string &request)
{
    Ports ports = connect_to_server(port);
    EXPECT_TRUE(ports && send(ports, request));
    return ports ? read_to_end(ports) : "";
}

std::string get(const std::string &target, const std::string &fields)
{
    return "GET " + target + " HTTP/1.1\r\nHost: localhost\r\n" + fields + "\r\n";
}

std::string last_get(const std::string &target, const std::string &fields)
{
    return get(target, fields + "Connection: close\r\n");
}

bool has(const std::string &text, const std::string &part)
{
    return text.find(part) != std::string::npos;
}

size_t count(const std::string &text, const std::string &part)
{
    size_t n = 0;
    for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
        n++;
    }
    return n;
}

std::string status_of(const std::string &answer)
{
    return answer.substr(0, answer.find("\r\n"));
}

std::string body_of(const std::string &answer)
{
    return answer.substr(answer.find("\r\n\r\n") + 4);
}

} // namespace sallytest
