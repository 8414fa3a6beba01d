/* CURVE: keys, the allow-list, and endpoints that can be bound without it. */
#include "publishing.h"

#include "transport/curve.h"
#include "transport/endpoint.h"

#include <sys/stat.h>
#include <unistd.h>

struct keys {
    char public[PS_CURVE_TEXT];
    char secret[PS_CURVE_TEXT];
};

static struct keys make_keys(void)
{
    struct keys keys;
    assert_int_equal(zmq_curve_keypair(keys.public, keys.secret), 0);
    return keys;
}

/* DIRECTORY/name; four at a time. */
static const char *in(const struct service *service, const char *name)
{
    static char paths[4][200];
    static int next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", service->directory, name);
    return path;
}

static const char *write_file(const struct service *service, const char *name, const char *text)
{
    const char *path = in(service, name);
    FILE *stream = fopen(path, "w");
    assert_non_null(stream);
    assert_true(fputs(text, stream) >= 0);
    assert_int_equal(fclose(stream), 0);
    return path;
}

/* ---- files of keys --------------------------------------------------------------------------- */

#define KEY   "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
#define OTHER "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"

static void one_key_a_file(void **state)
{
    const struct service *service = *state;
    static const char *const good[] = {
        KEY,
        KEY "\n",
        "# a comment\n\n  " KEY "  \n#\n",
        "#\t" OTHER "\n" KEY "\t# whose key it is\r\n",
    };
    static const struct {
        const char *text, *reason;
    } bad[] = {
        {"", "no key in it"},
        {"# " KEY "\n", "no key in it"},
        {"#\n\n" KEY "x\n", ":3: not a key"},
        {"D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%c\n", ":1: not a key"},
        {"\"" KEY "\"\n", ":1: not a key"},
        {KEY " trailing\n", ":1: not a key"},
        {KEY "\n" OTHER "\n", ":2: a second key"},
        {"D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%c~\n", ":1: not a key"},
    };
    struct ps_error error;
    char key[PS_CURVE_TEXT];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        memset(key, 0, sizeof key);
        if (ps_curve_read_key(write_file(service, "key", good[i]), key, &error) != 0)
            fail_msg("%zu: %s", i, error.message);
        assert_string_equal(key, KEY);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *path = write_file(service, "key", bad[i].text);
        assert_int_equal(ps_curve_read_key(path, key, &error), PS_E_CONFIG);
        if (!strstr(error.message, bad[i].reason) || !strstr(error.message, path))
            fail_msg("not \"%s\": %s", bad[i].reason, error.message);
        assert_null(strstr(error.message, KEY)); /* a secret is not for the log */
    }
    assert_int_equal(ps_curve_read_key(in(service, "none"), key, &error), PS_E_CONFIG);
    assert_non_null(strstr(error.message, "No such file"));
    assert_string_equal(key, KEY);
}

static void many_keys(void **state)
{
    const struct service *service = *state;
    struct ps_curve_keys keys = {0};
    struct ps_error error;
    uint8_t key[PS_CURVE_BYTES], other[PS_CURVE_BYTES];
    assert_non_null(zmq_z85_decode(key, KEY));
    assert_non_null(zmq_z85_decode(other, OTHER));
    const char *path = write_file(service, "two", "# clients\n" KEY "\n" OTHER " # anna\n");
    assert_int_equal(ps_curve_read_keys(path, &keys, &error), 0);
    assert_int_equal(keys.count, 2);
    assert_true(ps_curve_keys_have(&keys, key) && ps_curve_keys_have(&keys, other));
    ps_curve_keys_done(&keys);
    assert_false(ps_curve_keys_have(&keys, key));

    assert_int_equal(mkdir(in(service, "clients"), 0700), 0);
    assert_int_equal(mkdir(in(service, "clients/directory"), 0700), 0);
    assert_int_equal(ps_curve_read_keys(in(service, "clients"), &keys, &error), 0);
    assert_int_equal(keys.count, 0);
    (void)write_file(service, "clients/a.pub", KEY);
    (void)write_file(service, "clients/.hidden", "nonsense");
    assert_int_equal(ps_curve_read_keys(in(service, "clients"), &keys, &error), 0);
    assert_int_equal(keys.count, 1);
    assert_true(ps_curve_keys_have(&keys, key) && !ps_curve_keys_have(&keys, other));
    ps_curve_keys_done(&keys);
    (void)write_file(service, "clients/b.pub", "nonsense");
    assert_int_equal(ps_curve_read_keys(in(service, "clients"), &keys, &error), PS_E_CONFIG);
    assert_non_null(strstr(error.message, "clients/b.pub:1: not a key"));
}

/* ---- endpoints ------------------------------------------------------------------------------- */

static void what_is_local(void **state)
{
    (void)state;
    static const char *const local[] = {
        "tcp://127.0.0.1:5590", "tcp://127.255.3.4:1", "tcp://localhost:5590", "tcp://[::1]:5590",
        "tcp://LOCALHOST:5590", "tcp://[0:0::1]:5590", "tcp://127.0.0.1:*",    "ipc:///run/x.sock"};
    static const char *const beyond[] = {
        "tcp://*:5590",
        "tcp://0.0.0.0:5590",
        "tcp://192.168.1.2:5590",
        "tcp://eth0:5590",
        "tcp://[::]:5590",
        "tcp://[::ffff:1.2.3.4]:1",
        "tcp://128.0.0.1:5590",
        "tcp://127.0.0.1.example:1",
        "tcp://localhost.example:5590",
        "tcp://127.1:5590",
        "tcp://1270.0.0.1:5590",
        "udp://127.0.0.1:5590",
        "tcp://microscope:5590",
        "tcp://lo:5590",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:5590:1",
        "",
    };
    for (size_t i = 0; i < sizeof local / sizeof *local; i++) {
        if (!ps_endpoint_is_local(local[i]))
            fail_msg("%s", local[i]);
    }
    for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++) {
        if (ps_endpoint_is_local(beyond[i]))
            fail_msg("%s", beyond[i]);
    }
}

/* P37: what may not be bound is refused before anything is. */
static void endpoints_that_are_refused(void **state)
{
    struct service *service = *state;
    static const struct {
        const char *key, *value, *reason;
        enum ps_code code;
    } cases[] = {
        {"publish.endpoint", "tcp://*:0", "needs publish.curve_secret_key", PS_E_CONFIG},
        {"publish.replay_endpoint", "tcp://0.0.0.0:0", "needs publish.curve_", PS_E_CONFIG},
        {"publish.endpoint", "tcp://127.0.0.1", "expected tcp://ADDRESS:PORT", PS_E_CONFIG},
        {"publish.endpoint", "127.0.0.1:5590", "expected tcp://ADDRESS:PORT", PS_E_CONFIG},
        {"publish.endpoint", "inproc://x", "expected tcp://ADDRESS:PORT", PS_E_CONFIG},
        {"publish.endpoint", "ipc://", "expected tcp://ADDRESS:PORT", PS_E_CONFIG},
        {"publish.endpoint", "tcp://127.0.0.1:65536", "expected tcp://ADDRESS:PORT", PS_E_CONFIG},
        {"publish.endpoint", "tcp://127.0.0.1:http", "expected tcp://ADDRESS:PORT", PS_E_CONFIG},
        {"publish.endpoint", "ipc:///nowhere/x.sock", "No such file", PS_E_SYSTEM},
        {"publish.endpoint",
         "ipc:///tmp/"
         "123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"
         "123456789012345678",
         "107 bytes at most", PS_E_CONFIG},
        {"publish.curve_clients", "/tmp", "needs publish.curve_secret_key too", PS_E_CONFIG},
        {"publish.curve_secret_key", "/nowhere/curve.key", "No such file", PS_E_CONFIG},
        {"publish.curve_secret_key", "/dev/null", "no key in it", PS_E_CONFIG},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ps_error error = {0};
        struct ps_config *config = ps_config_copy(service->config);
        service_configure(service, cases[i].key, cases[i].value, NULL);
        if (service_try(service, &error) != (int)cases[i].code ||
            !strstr(error.message, cases[i].reason) || !strstr(error.message, cases[i].key))
            fail_msg("%s = %s: %d %s", cases[i].key, cases[i].value, error.code, error.message);
        ps_config_free(service->config);
        service->config = config;
    }
    service_start(service);
    void *second = NULL;
    struct ps_error error;
    assert_int_equal(service_setup(&second), 0);
    service_configure(second, "publish.replay_endpoint", service->endpoint, NULL);
    assert_int_equal(service_try(second, &error), PS_E_SYSTEM);
    assert_non_null(strstr(error.message, "cannot bind: Address already in use"));
    assert_int_equal(service_teardown(&second), 0);
}

static void a_control_socket_whose_path_is_too_long(void **state)
{
    struct service *service = *state;
    char path[200];
    memset(path, 'x', sizeof path);
    (void)memcpy(path, service->directory, strlen(service->directory));
    path[strlen(service->directory)] = '/';
    path[100] = '\0';
    assert_int_equal(mkdir(path, 0700), 0);
    struct ps_error error;
    struct ps_journal *journal;
    struct ps_publisher *publisher = NULL;
    struct ps_publisher_hooks hooks = {0};
    service_configure(service, "service.state_directory", path, NULL);
    assert_int_equal(ps_journal_open(path, &journal, &error), 0);
    assert_int_equal(ps_publisher_start(service->config, journal, service->log, service->metrics,
                                        &hooks, &publisher, &error),
                     PS_E_CONFIG);
    assert_non_null(strstr(error.message, "control.sock has 113 bytes"));
    ps_journal_close(journal);
}

/* P35: an ipc endpoint that another service has is not taken from it. */
static void an_ipc_endpoint_is_not_stolen(void **state)
{
    struct service *service = *state;
    void *second_state = NULL;
    assert_int_equal(service_setup(&second_state), 0);
    struct service *second = second_state;
    char endpoint[ENDPOINT];
    (void)snprintf(endpoint, sizeof endpoint, "ipc://%s", in(service, "picks.sock"));
    service_configure(service, "publish.endpoint", endpoint, NULL);
    service_configure(second, "publish.endpoint", endpoint, NULL);
    service_start(service);
    struct client subscriber = subscribe(service);
    struct ps_error error;
    assert_int_equal(service_try(second, &error), PS_E_SYSTEM);
    assert_non_null(strstr(error.message, "another process has it"));
    submit(service, "a.mrc", 1);
    struct message message = receive_picks(&subscriber);
    message_done(&message);
    client_close(&subscriber);
    service_stop(service);
    service_start(second); /* once it is free; also over the file of one that was killed */
    subscriber = subscribe(second);
    client_close(&subscriber);
    assert_int_equal(service_teardown(&second_state), 0);
}

static void insecure_only_if_wanted(void **state)
{
    struct service *service = *state;
    service_configure(service, "publish.endpoint", "tcp://0.0.0.0:*", "publish.insecure_bind",
                      "yes", NULL);
    service_start(service);
    char text[PS_LOG_TEXT];
    assert_true(ps_log_last_error(service->log, text, sizeof text) > 0);
    assert_non_null(strstr(text, "insecure_bind"));
    struct client subscriber = subscribe(service);
    client_close(&subscriber);
}

/* ---- CURVE ----------------------------------------------------------------------------------- */

static void service_with_curve(struct service *service, const struct keys *own, const char *clients)
{
    service_configure(service, "publish.curve_secret_key",
                      write_file(service, "curve.key", own->secret), NULL);
    assert_int_equal(chmod(in(service, "curve.key"), 0600), 0);
    if (clients)
        service_configure(service, "publish.curve_clients",
                          write_file(service, "clients.pub", clients), NULL);
    service_configure(service, "publish.endpoint", "tcp://0.0.0.0:*", NULL);
    service_start(service);
}

static struct client curve_client(int type, const char *endpoint, const struct keys *own,
                                  const char *server)
{
    struct client client = client_new(type);
    assert_int_equal(zmq_setsockopt(client.socket, ZMQ_CURVE_SERVERKEY, server, PS_CURVE_TEXT), 0);
    assert_int_equal(zmq_setsockopt(client.socket, ZMQ_CURVE_PUBLICKEY, own->public, PS_CURVE_TEXT),
                     0);
    assert_int_equal(zmq_setsockopt(client.socket, ZMQ_CURVE_SECRETKEY, own->secret, PS_CURVE_TEXT),
                     0);
    client_connect(&client, endpoint);
    return client;
}

/* P36: encryption alone is not enough. Refused: another key, another server's key, no CURVE; each
 * is counted, and hears nothing. */
static void only_clients_of_the_list(void **state)
{
    struct service *service = *state;
    struct keys own = make_keys(), friend = make_keys(), stranger = make_keys();
    char clients[200];
    struct message message;
    (void)snprintf(clients, sizeof clients, "# friends\n%s\n", friend.public);
    service_with_curve(service, &own, clients);

    struct client accepted = curve_client(ZMQ_SUB, service->endpoint, &friend, own.public);
    wait_status(&accepted, "metrics.subscribers", 2);
    wait_status(&accepted, "metrics.refused_clients", 0);
    assert_int_equal(ps_metrics_counter(service->metrics, PS_COUNTER_REFUSED_CLIENTS), 0);

    struct client refused = curve_client(ZMQ_SUB, service->endpoint, &stranger, own.public);
    wait_status(&accepted, "metrics.refused_clients", 1);
    assert_false(receive_now(&refused, &message));
    client_close(&refused);

    uint64_t before = ps_metrics_counter(service->metrics, PS_COUNTER_REFUSED_CLIENTS);
    struct client lost = curve_client(ZMQ_SUB, service->endpoint, &friend, stranger.public);
    wait_status(&accepted, "metrics.refused_clients", (long long)before + 1);
    assert_false(receive_now(&lost, &message));
    client_close(&lost);

    before = ps_metrics_counter(service->metrics, PS_COUNTER_REFUSED_CLIENTS);
    struct client plain = client_new(ZMQ_SUB);
    client_connect(&plain, service->endpoint);
    wait_status(&accepted, "metrics.refused_clients", (long long)before + 1);
    assert_false(receive_now(&plain, &message));
    client_close(&plain);

    /* The replay socket has the same list. */
    submit(service, "a.mrc", 1);
    struct client repair = curve_client(ZMQ_DEALER, service->replay, &friend, own.public);
    ask(&repair, "{\"request\":\"since\",\"seq\":0}");
    message = receive(&repair);
    assert_string_equal(text_at(message.header, "micrograph.name"), "a.mrc");
    message_done(&message);
    before = ps_metrics_counter(service->metrics, PS_COUNTER_REFUSED_CLIENTS);
    struct client thief = curve_client(ZMQ_DEALER, service->replay, &stranger, own.public);
    ask(&thief, "{\"request\":\"since\",\"seq\":0}");
    wait_status(&accepted, "metrics.refused_clients", (long long)before + 1);
    assert_false(receive_now(&thief, &message));
    client_close(&thief);
    client_close(&repair);
    client_close(&accepted);
}

static void without_a_list_all_clients_are_refused(void **state)
{
    struct service *service = *state;
    struct keys own = make_keys(), stranger = make_keys();
    service_with_curve(service, &own, NULL);
    char text[PS_LOG_TEXT];
    assert_true(ps_log_last_error(service->log, text, sizeof text) > 0);
    assert_non_null(strstr(text, "all are refused"));
    struct client client = curve_client(ZMQ_SUB, service->endpoint, &stranger, own.public);
    /* The control socket, of this machine, needs no key. */
    char endpoint[ENDPOINT];
    (void)snprintf(endpoint, sizeof endpoint, "ipc://%s", in(service, "control.sock"));
    struct client control = client_new(ZMQ_DEALER);
    client_connect(&control, endpoint);
    long long refused = 0;
    while (refused < 1) {
        json_t *status = answer_to(&control, "{\"request\":\"status\"}", "status");
        refused = number_at(status, "metrics.refused_clients");
        json_decref(status);
    }
    struct message message;
    assert_false(receive_now(&client, &message));
    client_close(&control);
    client_close(&client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, service_setup, service_teardown)
    const struct CMUnitTest tests[] = {
        TEST(one_key_a_file),
        TEST(many_keys),
        cmocka_unit_test(what_is_local),
        TEST(endpoints_that_are_refused),
        TEST(a_control_socket_whose_path_is_too_long),
        TEST(an_ipc_endpoint_is_not_stolen),
        TEST(insecure_only_if_wanted),
        TEST(only_clients_of_the_list),
        TEST(without_a_list_all_clients_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
