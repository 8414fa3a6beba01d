/* Messages to the socket of a service manager. */
#include "base/notify.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <errno.h>

#include <cmocka.h>

static char directory[] = "/tmp/pickstream-notify-XXXXXX";
static char path[64];

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(directory))
        return -1;
    (void)snprintf(path, sizeof path, "%s/socket", directory);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(directory);
}

/* A manager's socket of this name as NOTIFY_SOCKET writes it. */
static int listen_at(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, name, strlen(name));
    if (*name == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
    return fd;
}

static void stop_listening(int fd)
{
    assert_int_equal(close(fd), 0);
    (void)unlink(path);
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
}

/* The datagram that came, and no other. */
static const char *received(int fd, char text[4096])
{
    ssize_t length = recv(fd, text, 4095, MSG_DONTWAIT);
    assert_true(length >= 0);
    text[length] = '\0';
    char more;
    assert_true(recv(fd, &more, 1, MSG_DONTWAIT) < 0);
    return text;
}

static uint64_t monotonic_usec(void)
{
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void tells_at(const char *name)
{
    char text[4096];
    int fd = listen_at(name);
    assert_true(ps_notify_ready());
    assert_string_equal(received(fd, text), "READY=1");
    assert_true(ps_notify("READY=1\nSTATUS=watching"));
    assert_string_equal(received(fd, text), "READY=1\nSTATUS=watching");
    assert_true(ps_notify_watchdog());
    assert_string_equal(received(fd, text), "WATCHDOG=1");
    assert_true(ps_notify_status("%d picked, 2 waiting", 12));
    assert_string_equal(received(fd, text), "STATUS=12 picked, 2 waiting");
    assert_true(ps_notify_stopping(35));
    assert_string_equal(received(fd, text), "STOPPING=1\nEXTEND_TIMEOUT_USEC=35000000");

    uint64_t before = monotonic_usec(), usec;
    assert_true(ps_notify_reloading());
    assert_int_equal(sscanf(received(fd, text), "RELOADING=1\nMONOTONIC_USEC=%" SCNu64, &usec), 1);
    assert_true(usec >= before && usec <= monotonic_usec());
    stop_listening(fd);
}

static void socket_with_a_path(void **state)
{
    (void)state;
    tells_at(path);
}

static void abstract_socket(void **state)
{
    (void)state;
    char name[64];
    (void)snprintf(name, sizeof name, "@pickstream-test-%d", (int)getpid());
    tells_at(name);
}

/* A file's name must not become a variable, nor a long one an error. */
static void status_is_one_line(void **state)
{
    (void)state;
    char text[4096], longest[3000];
    int fd = listen_at(path);
    assert_true(ps_notify_status("%s", "a\nREADY=1\tb"));
    assert_string_equal(received(fd, text), "STATUS=a READY=1 b");
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_true(ps_notify_status("%s", longest));
    size_t length = strlen(received(fd, text));
    assert_true(length > 1000 && length <= 1024);
    stop_listening(fd);
}

static void without_a_service_manager(void **state)
{
    (void)state;
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    assert_true(ps_notify_ready() && ps_notify_reloading() && ps_notify_stopping(1) &&
                ps_notify_status("x") && ps_notify_watchdog());
    assert_int_equal(setenv("NOTIFY_SOCKET", "", 1), 0);
    assert_true(ps_notify_ready());
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
}

static void a_manager_that_cannot_be_told(void **state)
{
    (void)state;
    char too_long[200] = "/";
    memset(too_long + 1, 'x', sizeof too_long - 2);
    const struct {
        const char *name;
        int error;
    } cases[] = {{"relative", EINVAL}, {"vsock:2:1", EINVAL}, {too_long, EINVAL}, {path, ENOENT}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(setenv("NOTIFY_SOCKET", cases[i].name, 1), 0);
        errno = 0;
        assert_false(ps_notify_ready());
        assert_int_equal(errno, cases[i].error);
    }
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
}

static void set_or_not(const char *name, const char *value)
{
    assert_int_equal(value ? setenv(name, value, 1) : unsetenv(name), 0);
}

static void watchdog_period(void **state)
{
    (void)state;
    char own[16], other[16];
    (void)snprintf(own, sizeof own, "%d", (int)getpid());
    (void)snprintf(other, sizeof other, "%d", (int)getppid());
    const struct {
        const char *usec, *pid;
        uint64_t expected;
    } cases[] = {
        {"60000000", own, 60000000},
        {"60000000", NULL, 60000000},
        {"60000000", other, 0},
        {"60000000", "x", 0},
        {"60000000", "", 0},
        {NULL, own, 0},
        {"", own, 0},
        {"0", own, 0},
        {"60s", own, 0},
        {"-1", own, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        set_or_not("WATCHDOG_USEC", cases[i].usec);
        set_or_not("WATCHDOG_PID", cases[i].pid);
        assert_int_equal(ps_notify_watchdog_usec(), cases[i].expected);
    }
    set_or_not("WATCHDOG_USEC", NULL);
    set_or_not("WATCHDOG_PID", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(socket_with_a_path),
        cmocka_unit_test(abstract_socket),
        cmocka_unit_test(status_is_one_line),
        cmocka_unit_test(without_a_service_manager),
        cmocka_unit_test(a_manager_that_cannot_be_told),
        cmocka_unit_test(watchdog_period),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
