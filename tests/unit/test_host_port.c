/* HOST:PORT: where it is split, which hosts are addresses, and which of them are local. */
#include "base/host_port.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void split_at_the_last_colon(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host, *port; /* host NULL: refused */
    } cases[] = {
        {"127.0.0.1:5590", "127.0.0.1", "5590"},
        {"[::1]:5590", "[::1]", "5590"},
        {"::1:5590", "::1", "5590"},
        {"microscope:*", "microscope", "*"},
        {"*:", "*", ""},
        {":5590", NULL, NULL},
        {"localhost", NULL, NULL},
        {"", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char host[PS_HOST_TEXT] = "untouched";
        const char *port = NULL;
        const bool is_split = ps_host_port_split(cases[i].text, host, &port);
        if (is_split != (cases[i].host != NULL))
            fail_msg("\"%s\"", cases[i].text);
        assert_string_equal(host, is_split ? cases[i].host : "untouched");
        if (is_split)
            assert_string_equal(port, cases[i].port);
    }
}

static void a_long_host_is_refused(void **state)
{
    (void)state;
    char text[PS_HOST_TEXT + 3], host[PS_HOST_TEXT];
    const char *port;
    memset(text, 'a', sizeof text);
    memcpy(text + PS_HOST_TEXT - 1, ":1", 3);
    assert_true(ps_host_port_split(text, host, &port));
    assert_int_equal(strlen(host), PS_HOST_TEXT - 1);
    memcpy(text + PS_HOST_TEXT - 1, "a:1", 4);
    assert_false(ps_host_port_split(text, host, &port));
}

static void hosts(void **state)
{
    (void)state;
    enum { REFUSED, BEYOND, LOOPBACK };
    static const struct {
        const char *text;
        int is;
    } cases[] = {
        {"127.0.0.1", LOOPBACK},
        {"127.255.3.4", LOOPBACK},
        {"localhost", LOOPBACK},
        {"LocalHost", LOOPBACK},
        {"[::1]", LOOPBACK},
        {"[0:0:0:0:0:0:0:1]", LOOPBACK},
        {"0.0.0.0", BEYOND},
        {"128.0.0.1", BEYOND},
        {"[::]", BEYOND},
        {"[::ffff:127.0.0.1]", BEYOND},
        {"[fe80::1]", BEYOND},
        {"::1", REFUSED},
        {"[]", REFUSED},
        {"[", REFUSED},
        {"[127.0.0.1]", REFUSED},
        {"[::1", REFUSED},
        {"[::1]x", REFUSED},
        {"[00000000000000000000000000000000000000000000000000000001]", REFUSED},
        {"127.1", REFUSED},
        {"1270.0.0.1", REFUSED},
        {"127.0.0.1.example", REFUSED},
        {"localhost.example", REFUSED},
        {"microscope", REFUSED},
        {"*", REFUSED},
        {"", REFUSED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        union ps_host host;
        const int is = !ps_host_parse(cases[i].text, &host) ? REFUSED
                       : ps_host_is_loopback(&host)         ? LOOPBACK
                                                            : BEYOND;
        if (is != cases[i].is)
            fail_msg("\"%s\": %d", cases[i].text, is);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(split_at_the_last_colon),
        cmocka_unit_test(a_long_host_is_refused),
        cmocka_unit_test(hosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
