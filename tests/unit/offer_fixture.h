// Listeners that are offered and fetched: old and new process are two threads here; hostile ends are raw sockets.
#ifndef SALLY_TEST_UNIT_OFFER_FIXTURE_H
#define SALLY_TEST_UNIT_OFFER_FIXTURE_H

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "crypto_fixture.h"
#include "scenario/ends.h"
#include "support/guards.h"

#include "sallyport/handover.h"

extern "C" {
#include "offer.h"
}

namespace sallytest
{

inline constexpr size_t kRoom = 8;

// ---- raw ends ----------------------------------------------------------------------------------

struct Address {
    explicit Address(const std::string &name)
    {
        un.sun_family = AF_UNIX;
        std::memcpy(un.sun_path, name.data(), name.size());
        bool is_abstract = name[0] == '@';
        if (is_abstract) {
            un.sun_path[0] = '\0';
        }
        length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() +
                                        (is_abstract ? 0 : 1));
    }
    const sockaddr *any() const
    {
        return reinterpret_cast<const sockaddr *>(&un);
    }
    sockaddr_un un = {};
    socklen_t length;
};

inline Fd raw_socket()
{
    return Fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
}

inline Fd raw_offerer(const std::string &where)
{
    Fd door = raw_socket();
    Address address(where);
    EXPECT_EQ(0, bind(door.get(), address.any(), address.length)) << strerror(errno);
    EXPECT_EQ(0, listen(door.get(), 4));
    return door;
}

inline Fd raw_fetcher(const std::string &where)
{
    Fd fd = raw_socket();
    Address address(where);
    EXPECT_TRUE(
        eventually([&] { return connect(fd.get(), address.any(), address.length) == 0; }, 20));
    return fd;
}

inline ssize_t send_record(int fd, std::string bytes, std::vector<int> fds)
{
    std::vector<char> room(CMSG_SPACE(sizeof(int) * fds.size()));
    iovec part = {bytes.data(), bytes.size()};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!fds.empty()) {
        message.msg_control = room.data();
        message.msg_controllen = room.size();
        cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
        std::memcpy(CMSG_DATA(header), fds.data(), sizeof(int) * fds.size());
    }
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

inline std::string abstract_name()
{
    static int made = 0;
    return "@sallyport-offer-" + std::to_string(getpid()) + "-" + std::to_string(made++);
}

inline bool exists(const std::string &path)
{
    struct stat found;
    return lstat(path.c_str(), &found) == 0;
}

inline ino_t inode_of(int fd)
{
    struct stat found = {};
    EXPECT_EQ(0, fstat(fd, &found));
    return found.st_ino;
}

inline int listening_fd_of(ssl_listener *listener)
{
    std::string port = std::to_string(port_of(listener));
    for (auto &[fd, what] : open_fds()) {
        sockaddr_in at = {};
        socklen_t length = sizeof at;
        int listening = 0;
        socklen_t size = sizeof listening;
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening != 0 &&
            getsockname(fd, reinterpret_cast<sockaddr *>(&at), &length) == 0 &&
            at.sin_family == AF_INET && std::to_string(ntohs(at.sin_port)) == port) {
            return fd;
        }
    }
    ADD_FAILURE() << "no listening socket at port " << port;
    return -1;
}

// ---- fetching ----------------------------------------------------------------------------------

struct Fetched {
    ~Fetched()
    {
        for (size_t i = 0; i < count; i++) {
            close(list[i].fd);
        }
    }
    ssl_inherited list[kRoom] = {};
    size_t count = 77;
    ssl_status status = SALLY_OK;
    ssl_error err = {};
};

// Lets go of the connection over which it fetched, if there is one: to the old process this one is gone.
inline void let_go()
{
    Break pending = new_break();
    ssl_break_send(pending.get(), 1);
    EXPECT_NE(SALLY_OK, ssl_take_over_enable_break(pending.get(), nullptr));
}

class Offer : public testing::Test
{
  protected:
    void SetUp() override
    {
        warm_up();
        where_ = dir_.path("door");
        names_[0] = "front";
    }
    void TearDown() override
    {
        stop();
    }
    // In a thread of its own, until it is taken or stopped.
    void offer()
    {
        listeners_[0] = listener_.get();
        options_.where = where_.c_str();
        options_.sockets.listeners = listeners_;
        options_.sockets.names = names_;
        options_.sockets.count = 1;
        options_.failed = note;
        options_.user = this;
        thread_ = std::make_unique<Thread>([this] {
            status_ = ssl_offer_listeners_enable_break(&options_, stop_.get(), &pid_, &err_);
        });
    }
    void stop()
    {
        if (thread_) {
            ssl_break_send(stop_.get(), 1);
            thread_->join();
        }
    }
    ssl_status result()
    {
        thread_->join();
        return status_;
    }
    // As soon as somebody offers.
    void fetch(Fetched *f, size_t room = kRoom) const
    {
        auto came = [&] {
            f->status = ssl_fetch_listeners(where_.c_str(), f->list, room, &f->count, &f->err);
            return f->status != SALLY_OK || f->count != 0;
        };
        EXPECT_TRUE(eventually(came, 20));
    }
    static void note(const ssl_error *why, void *user)
    {
        auto *self = static_cast<Offer *>(user);
        std::lock_guard<std::mutex> lock(self->told_at_.mutex);
        self->told_.push_back(*why);
    }
    // What was told of processes that came to nothing, once there are `count`.
    std::vector<ssl_error> told(size_t count)
    {
        auto look = [this] {
            std::lock_guard<std::mutex> lock(told_at_.mutex);
            return told_;
        };
        EXPECT_TRUE(eventually([&] { return look().size() >= count; }, 20));
        return look();
    }
    void expect_taken_over()
    {
        Fetched f;
        fetch(&f);
        ASSERT_TRUE(is(SALLY_OK, f.status, f.err));
        ASSERT_TRUE(is(SALLY_OK, ssl_take_over(&f.err), f.err));
        EXPECT_FALSE(exists(where_));
        EXPECT_TRUE(is(SALLY_OK, result(), err_));
    }

    ScratchDir dir_;
    std::string where_;
    Context server_ = server_context();
    Listener listener_ = listen_on_loopback(server_.get());
    ssl_listener *listeners_[2] = {};
    const char *names_[2] = {};
    ssl_offer_options options_ = SALLY_OFFER_OPTIONS;
    Break stop_ = new_break();
    ssl_status status_ = SALLY_OK;
    pid_t pid_ = 77;
    ssl_error err_ = {};
    Rendezvous told_at_;
    std::vector<ssl_error> told_;
    std::unique_ptr<Thread> thread_;
};

} // namespace sallytest
#endif
