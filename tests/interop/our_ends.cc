#include "interop/our_ends.h"

#include "sallyport/digest.h"
#include "support/certs.h"
#include "support/pairs.h"

namespace sallytest
{

namespace
{

const int kBoundMs = 20000;

Listener listen_by(ssl_context *context, ssl_registry *registry)
{
    ssl_listen_options options = SALLY_LISTEN_OPTIONS;
    ssl_listener *made = nullptr;
    ssl_error err;
    options.host = "127.0.0.1";
    options.registry = registry;
    EXPECT_TRUE(is(SALLY_OK, ssl_listen(0, &options, context, &made, &err), err));
    return Listener(made);
}

} // namespace

const char kLocalhost[] = "/O=Sallyport tests/CN=localhost";
const char kSecond[] = "/O=Sallyport tests/CN=second.example";

void read_to_the_end(Ports &ports)
{
    char byte;
    size_t got;
    while (ssl_read(ports.in(), &byte, 1, &got, nullptr) == SALLY_OK) {}
}

// ---- servers -----------------------------------------------------------------------------------

OurServer::OurServer(Context context, Serve serve, ssl_registry *registry)
    : context_(std::move(context)), listener_(listen_by(context_.get(), registry)),
      stop_(new_break()), serve_(std::move(serve)), thread_([this] { run(); })
{
}

OurServer::~OurServer()
{
    ssl_break_send(stop_.get(), 1);
    thread_.join();
}

int OurServer::port() const
{
    return port_of(listener_.get());
}

void OurServer::wait_until_served(int count)
{
    EXPECT_TRUE(eventually([&] { return served_ >= count; }, 20)) << served_ << " of " << count;
}

void OurServer::run()
{
    ssl_status status;
    do {
        Ports ports;
        status = ssl_accept_enable_break(listener_.get(), stop_.get(), ports.fill(), nullptr);
        if (status == SALLY_OK) {
            ssl_port_set_timeout(ports.in(), kBoundMs, nullptr);
            ssl_port_set_timeout(ports.out(), kBoundMs, nullptr);
            serve_(ports);
            served_++;
        }
    } while (status != SALLY_BREAK);
}

TwoSites::TwoSites(const std::vector<ssl_alpn_name> &alpn, bool allow_no_match)
    : first_(server_context()), second_(server_context("sni"))
{
    for (ssl_context *context : {first_.get(), second_.get()}) {
        EXPECT_EQ(SALLY_OK,
                  ssl_set_server_alpn(context, alpn.data(), alpn.size(), allow_no_match, nullptr));
    }
    EXPECT_EQ(SALLY_OK,
              ssl_set_server_name_identification_callback(first_.get(), choose, this, nullptr));
}

Context TwoSites::context()
{
    return std::move(first_);
}

Strings TwoSites::asked()
{
    std::lock_guard<std::mutex> hold(mutex_);
    return asked_;
}

ssl_status TwoSites::choose(const char *hostname, void *user, ssl_context **chosen)
{
    auto *sites = static_cast<TwoSites *>(user);
    std::lock_guard<std::mutex> hold(sites->mutex_);
    sites->asked_.emplace_back(hostname);
    if (sites->asked_.back() == "second.example") {
        *chosen = sites->second_.get();
    }
    return SALLY_OK;
}

// ---- clients -----------------------------------------------------------------------------------

Ports connect_here(int port, const ssl_connect_options &options)
{
    Ports ports;
    ssl_error err;
    ssl_connect_options bounded = options;
    bounded.timeout_ms = kBoundMs;
    EXPECT_TRUE(
        is(SALLY_OK, ssl_connect_with("localhost", port, &bounded, ports.fill(), &err), err));
    if (ports) {
        ssl_port_set_timeout(ports.in(), kBoundMs, nullptr);
        ssl_port_set_timeout(ports.out(), kBoundMs, nullptr);
    }
    return ports;
}

Ports connect_here(int port, ssl_context *context)
{
    ssl_connect_options options = SALLY_CONNECT_OPTIONS;
    options.context = context;
    return connect_here(port, options);
}

// ---- questions ---------------------------------------------------------------------------------

std::string subject_of(const Ports &ports)
{
    char text[200] = "";
    size_t length;
    EXPECT_EQ(SALLY_OK, ssl_peer_subject_name(ports.in(), text, sizeof text, &length, nullptr));
    return text;
}

std::string alpn_of(const Ports &ports)
{
    char name[SALLY_ALPN_NAME_MAX];
    size_t length = 0;
    EXPECT_EQ(SALLY_OK, ssl_get_alpn_selected(ports.in(), name, sizeof name, &length, nullptr));
    return length > 0 ? std::string(name, length) : "none";
}

std::string binding_of(const Ports &ports, ssl_binding_type type)
{
    ssl_binding binding;
    char hex[2 * SALLY_BINDING_MAX + 1];
    if (ssl_channel_binding(ports.in(), type, &binding, nullptr) != SALLY_OK) {
        return "none";
    }
    EXPECT_EQ(SALLY_OK,
              ssl_bytes_to_hex_string(binding.bytes, binding.length, hex, sizeof hex, nullptr));
    return hex;
}

} // namespace sallytest
