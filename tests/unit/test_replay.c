/* The replay and control sockets: missed messages are sent again with identical frames and without
 * a gap to new ones, and no client can harm the service or another client. */
#include "publishing.h"

#include "publish/replay.h"
#include "subscribe/control.h"

/* Receives a replay of first..last and its end. */
static void expect_replay(struct client *client, long long first, long long last)
{
    for (long long seq = first; seq <= last; seq++) {
        struct message message = receive(client);
        assert_int_equal(message.frames, 3);
        assert_string_equal(message.topic, "picks");
        assert_int_equal(number_at(message.header, "seq"), seq);
        message_done(&message);
    }
    struct message message = receive(client);
    assert_int_equal(message.frames, 1);
    assert_string_equal(text_at(message.header, "type"), "end");
    assert_int_equal(number_at(message.header, "last_seq"), last);
    message_done(&message);
}

/* ---- since ----------------------------------------------------------------------------------- */

/* P31: a late subscriber gets the same bytes as earlier ones. */
static void replayed_messages_are_identical(void **state)
{
    enum { COUNT = 5 };
    struct service *service = *state;
    service_start(service);
    struct client subscriber = subscribe(service);
    submit(service, "a.mrc", 3);
    submit(service, "b.mrc", 0);
    submit_rejection(service, "c.mrc", "constant");
    submit_failure(service, "d.mrc", "ends early");
    submit(service, "e.mrc", 70);
    struct client late = dealer(service);
    wait_finished(service, COUNT);
    ask(&late, "{\"request\":\"since\",\"seq\":0}");
    for (int i = 0; i < COUNT; i++) {
        struct message first = receive_picks(&subscriber);
        struct message again = receive(&late);
        assert_int_equal(again.frames, 3);
        assert_false(again.delimiter);
        assert_string_equal(again.topic, first.topic);
        assert_string_equal(again.text, first.text);
        assert_int_equal(again.array_size, first.array_size);
        assert_memory_equal(again.array, first.array, first.array_size);
        message_done(&first);
        message_done(&again);
    }
    struct message end = receive(&late);
    assert_string_equal(text_at(end.header, "type"), "end");
    assert_string_equal(text_at(end.header, "stream"), ps_journal_stream(service->journal));
    message_done(&end);
    wait_status(&subscriber, "metrics.replayed", COUNT);
    client_close(&late);
    client_close(&subscriber);
}

static void since_a_seq(void **state)
{
    struct service *service = *state;
    service_start(service);
    struct client client = dealer(service);
    ask(&client, "{\"request\":\"since\",\"seq\":0}");
    expect_replay(&client, 1, 0); /* nothing yet */
    submit_many(service, 250, 1); /* more than a portion */
    wait_finished(service, 250);
    static const int after[] = {0, 1, 99, 100, 249, 250};
    for (size_t i = 0; i < sizeof after / sizeof *after; i++) {
        char request[100];
        (void)snprintf(request, sizeof request, "{\"request\":\"since\",\"seq\":%d}", after[i]);
        ask(&client, request);
        expect_replay(&client, after[i] + 1, 250);
    }
    /* A seq that is not committed yet, such as one of another journal: nothing follows it. */
    ask(&client, "{\"request\":\"since\",\"seq\":9223372036854775807}");
    expect_replay(&client, 251, 250);
    client_close(&client);
}

/* A REQ-like client sends an empty frame first, and gets one. */
static void delimiter_in_delimiter_out(void **state)
{
    struct service *service = *state;
    service_start(service);
    submit_many(service, 2, 1);
    wait_finished(service, 2);
    struct client client = dealer(service);
    assert_int_equal(zmq_send(client.socket, "", 0, ZMQ_SNDMORE), 0);
    ask(&client, "{\"request\":\"since\",\"seq\":0}");
    for (int i = 1; i <= 3; i++) {
        struct message message = receive(&client);
        assert_true(message.delimiter);
        assert_int_equal(message.frames, i < 3 ? 3 : 1);
        message_done(&message);
    }
    client_close(&client);
    struct client req = client_new(ZMQ_REQ);
    client_connect(&req, service->replay);
    json_decref(answer_to(&req, "{\"request\":\"hello\"}", "hello"));
    json_decref(answer_to(&req, "no", "error"));
    client_close(&req);
}

struct writer {
    struct service *service;
    size_t count;
};

static void *write_many(void *context)
{
    const struct writer *writer = context;
    submit_many(writer->service, writer->count, 20);
    return NULL;
}

/* A client that subscribes before its request gets every seq, from the replay or live, at any time.
 */
static void no_gap_between_replay_and_live(void **state)
{
    enum { BEFORE = 150, DURING = 300, ALL = BEFORE + DURING };
    struct service *service = *state;
    service_start(service);
    submit_many(service, BEFORE, 20);
    wait_finished(service, BEFORE);
    struct client subscriber = subscribe(service);
    struct client client = dealer(service);
    struct writer writer = {service, DURING};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_many, &writer), 0);
    ask(&client, "{\"request\":\"since\",\"seq\":0}");
    char *texts[ALL + 1] = {NULL};
    long long last;
    for (;;) {
        struct message message = receive(&client);
        if (message.frames == 1) {
            last = number_at(message.header, "last_seq");
            message_done(&message);
            break;
        }
        long long seq = number_at(message.header, "seq");
        assert_true(seq >= 1 && seq <= ALL);
        assert_null(texts[seq]);
        texts[seq] = strdup(message.text);
        message_done(&message);
    }
    for (long long seq = 1; seq <= last; seq++)
        assert_non_null(texts[seq]);
    assert_int_equal(pthread_join(thread, NULL), 0);
    for (long long seq = 0; seq < ALL;) {
        struct message message = receive_picks(&subscriber);
        seq = number_at(message.header, "seq");
        if (texts[seq])
            assert_string_equal(texts[seq], message.text);
        free(texts[seq]);
        texts[seq] = strdup("heard");
        message_done(&message);
    }
    for (long long seq = 1; seq <= ALL; seq++) {
        assert_non_null(texts[seq]);
        free(texts[seq]);
    }
    client_close(&client);
    client_close(&subscriber);
}

/* ---- clients that do not read ---------------------------------------------------------------- */

static struct client idle_dealer(const struct service *service)
{
    struct client client = client_new(ZMQ_DEALER);
    client_set(&client, ZMQ_RCVHWM, 1);
    client_set(&client, ZMQ_RCVBUF, 4096);
    client_connect(&client, service->replay);
    return client;
}

static void a_client_that_does_not_read_waits_alone(void **state)
{
    enum { COUNT = 1500, PICKS = 1500 }; /* 36 MB: more than all buffers hold */
    struct service *service = *state;
    service_start(service);
    submit_many(service, COUNT, PICKS);
    wait_finished(service, COUNT);
    struct client idle = idle_dealer(service);
    struct client gone = idle_dealer(service);
    struct client reader = dealer(service);
    ask(&idle, "{\"request\":\"since\",\"seq\":0}");
    ask(&gone, "{\"request\":\"since\",\"seq\":0}");
    struct message message = receive(&gone);
    message_done(&message);
    ask(&reader, "{\"request\":\"since\",\"seq\":0}");
    expect_replay(&reader, 1, COUNT);
    /* The reader has received all; the others were sent what fits, and their replays wait. */
    json_t *status = answer_to(&reader, "{\"request\":\"status\"}", "status");
    assert_true(number_at(status, "metrics.replayed") < 2 * COUNT);
    json_decref(status);
    client_close(&gone);
    submit(service, "new.mrc", 1); /* new outcomes do not wait either */
    wait_finished(service, COUNT + 1);
    expect_replay(&idle, 1, COUNT + 1);
    client_close(&idle);
    client_close(&reader);
}

/* Another request of the same client replaces the first. */
static void one_replay_for_a_client(void **state)
{
    enum { REQUESTS = 3 * PS_MAX_REPLAYS };
    struct service *service = *state;
    service_start(service);
    submit_many(service, 3, 1);
    wait_finished(service, 3);
    struct client client = dealer(service);
    for (int i = 0; i < REQUESTS; i++)
        ask(&client, "{\"request\":\"since\",\"seq\":2}");
    ask(&client, "{\"request\":\"hello\"}");
    for (bool hello = false; !hello;) {
        struct message message = receive(&client);
        const char *type = text_at(message.header, "type");
        assert_true(strcmp(type, "error") != 0);
        hello = strcmp(type, "hello") == 0;
        message_done(&message);
    }
    client_close(&client);
}

static void too_many_replays_are_refused(void **state)
{
    enum { COUNT = 400, PICKS = 1500, CLIENTS = PS_MAX_REPLAYS + 1 };
    struct service *service = *state;
    service_start(service);
    submit_many(service, COUNT, PICKS);
    wait_finished(service, COUNT);
    static struct client clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = idle_dealer(service);
        ask(&clients[i], "{\"request\":\"since\",\"seq\":0}");
        struct message message = receive(&clients[i]);
        bool refused = message.frames == 1;
        assert_int_equal(refused, i == PS_MAX_REPLAYS);
        if (refused)
            assert_non_null(strstr(text_at(message.header, "reason"), "too many replays"));
        message_done(&message);
    }
    for (int i = 0; i < CLIENTS; i++)
        client_close(&clients[i]);
}

/* ---- other requests -------------------------------------------------------------------------- */

static void hello_tells_the_stream_and_the_configuration(void **state)
{
    struct service *service = *state;
    service_configure(service, "picker.particle_diameter", "180", NULL);
    service_start(service);
    submit_many(service, 2, 1);
    wait_finished(service, 2);
    struct client client = dealer(service);
    json_t *hello = answer_to(&client, "{\"request\":\"hello\"}", "hello");
    assert_string_equal(text_at(hello, "schema"), "pickstream/1");
    assert_string_equal(text_at(hello, "stream"), ps_journal_stream(service->journal));
    assert_string_equal(text_at(hello, "version"), ps_version());
    assert_int_equal(number_at(hello, "last_seq"), 2);
    assert_string_equal(text_at(hello, "configuration.picker.particle_diameter"), "180 A");
    assert_string_equal(text_at(hello, "configuration.publish.session"), "s1");
    assert_int_equal(strlen(text_at(hello, "parameters")), 16);
    json_decref(hello);
    client_close(&client);
}

static void one_micrograph_again(void **state)
{
    struct service *service = *state;
    service_start(service);
    submit(service, "Grid_1/a.mrc", 1);
    submit(service, "Grid_2/a.mrc", 2);
    submit_failure(service, "Grid_2/b.mrc", "no");
    wait_finished(service, 3);
    static const struct {
        const char *name;
        int seq;
    } known[] = {{"Grid_1/a.mrc", 1}, {"Grid_2/a.mrc", 2}, {"/data/Grid_2/b.mrc", 3}};
    struct client client = dealer(service);
    for (int i = 0; i < 3; i++) {
        char request[100];
        (void)snprintf(request, sizeof request, "{\"request\":\"micrograph\",\"name\":\"%s\"}",
                       known[i].name);
        ask(&client, request);
        struct message message = receive(&client);
        assert_int_equal(message.frames, 3);
        assert_int_equal(number_at(message.header, "seq"), known[i].seq);
        message_done(&message);
    }
    json_t *answer = answer_to(&client, "{\"request\":\"micrograph\",\"name\":\"a.mrc\"}", "error");
    assert_non_null(strstr(text_at(answer, "reason"), "no outcome"));
    json_decref(answer);
    client_close(&client);
}

/* Only the control socket accepts a retry of failed micrographs. */
static void retry_at_the_control_socket(void **state)
{
    struct service *service = *state;
    service_start(service);
    submit(service, "good.mrc", 1);
    submit_failure(service, "bad.mrc", "no");
    submit_failure(service, "worse.mrc", "no");
    submit_failure(service, "worst.mrc", "no");
    wait_finished(service, 4);
    struct client client = dealer(service);
    json_t *answer = answer_to(&client, "{\"request\":\"retry\"}", "error");
    assert_non_null(strstr(text_at(answer, "reason"), "control socket"));
    json_decref(answer);
    client_close(&client);

    static const struct {
        const char *request;
        int count;
    } cases[] = {
        {"{\"request\":\"retry\",\"paths\":[]}", 0},
        {"{\"request\":\"retry\",\"paths\":[\"good.mrc\",\"unknown.mrc\"]}", 0},
        {"{\"request\":\"retry\",\"paths\":[\"/data/bad.mrc\"]}", 1},
        {"{\"request\":\"retry\"}", 2},
        {"{\"request\":\"retry\"}", 0},
    };
    char endpoint[ENDPOINT];
    (void)snprintf(endpoint, sizeof endpoint, "ipc://%s/control.sock", service->directory);
    struct client control = client_new(ZMQ_DEALER);
    client_connect(&control, endpoint);
    size_t calls = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        answer = answer_to(&control, cases[i].request, "retried");
        assert_int_equal(number_at(answer, "count"), cases[i].count);
        json_decref(answer);
        calls += cases[i].count > 0;
    }
    json_decref(answer_to(&control, "{\"request\":\"retry\",\"paths\":\"bad.mrc\"}", "error"));
    json_decref(answer_to(&control, "{\"request\":\"retry\",\"paths\":[1]}", "error"));
    static const char *const refused[] = {
        "{\"request\":\"repick\",\"since\":-1}", "{\"request\":\"repick\",\"since\":\"1\"}",
        "{\"request\":\"repick\",\"all\":false}", "{\"request\":\"repick\",\"paths\":{}}",
        "{\"request\":\"repick\",\"all\":true,\"since\":1}"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        json_decref(answer_to(&control, refused[i], "error"));
    pthread_mutex_lock(&service->lock);
    assert_int_equal(service->reopened, calls);
    pthread_mutex_unlock(&service->lock);
    answer = answer_to(&control, "{\"request\":\"status\"}", "status");
    assert_int_equal(number_at(answer, "totals.open"), 3);
    json_decref(answer);
    client_close(&control);
}

/* ---- malformed requests
 * ---------------------------------------------------------------------------- */

static void bad_requests_get_an_error(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "[]",
        "null",
        "1",
        "\"since\"",
        "{}",
        "{\"request\":1}",
        "{\"request\":null}",
        "{\"request\":\"sinc\"}",
        "{\"request\":\"\"}",
        "{\"request\":\"since\"}",
        "{\"request\":\"since\",\"seq\":-1}",
        "{\"request\":\"since\",\"seq\":1.5}",
        "{\"request\":\"since\",\"seq\":\"1\"}",
        "{\"request\":\"since\",\"seq\":null}",
        "{\"request\":\"since\",\"seq\":99999999999999999999}",
        "{\"request\":\"since\",\"seq\":-9223372036854775808}",
        "{\"request\":\"since\",\"request\":\"hello\"}",
        "{\"request\":\"hello\"} trailing",
        "{\"request\":\"micrograph\"}",
        "{\"request\":\"micrograph\",\"name\":7}",
        "{\"request\":\"micrograph\",\"name\":[\"a\"]}",
        "{\"request\":\"micrograph\",\"name\":\"a\\u0000b\"}",
        "{\"request\":\"hello\xff\"}",
        "\xff\xfe\x00",
        "picks",
    };
    enum { BAD = sizeof bad / sizeof *bad };
    struct service *service = *state;
    service_start(service);
    struct client client = dealer(service);
    for (int i = 0; i < BAD; i++) {
        json_t *answer = answer_to(&client, bad[i], "error");
        assert_true(strlen(text_at(answer, "reason")) > 5);
        json_decref(answer);
    }
    /* Deep nesting, and too many frames. */
    char *deep = malloc(100001);
    memset(deep, '[', 100000);
    deep[100000] = '\0';
    json_decref(answer_to(&client, deep, "error"));
    free(deep);
    assert_true(zmq_send(client.socket, "{\"request\":\"hello\"}", 19, ZMQ_SNDMORE) > 0);
    json_decref(answer_to(&client, "{\"request\":\"hello\"}", "error"));
    for (int i = 0; i < 50; i++)
        assert_int_equal(zmq_send(client.socket, "", 0, ZMQ_SNDMORE), 0);
    json_decref(answer_to(&client, "", "error"));
    json_t *status = answer_to(&client, "{\"request\":\"status\"}", "status");
    assert_int_equal(number_at(status, "metrics.bad_requests"), BAD + 3);
    json_decref(status);
    client_close(&client);
}

/* A client that sends a frame of megabytes is disconnected; the service continues. */
static void huge_frames_are_not_taken(void **state)
{
    enum { HUGE_BYTES = 16 << 20 };
    struct service *service = *state;
    service_start(service);
    char *huge = calloc(1, HUGE_BYTES);
    struct client client = dealer(service);
    assert_int_equal(zmq_send(client.socket, huge, HUGE_BYTES, 0), HUGE_BYTES);
    struct client other = dealer(service);
    json_decref(answer_to(&other, "{\"request\":\"hello\"}", "hello"));
    client_close(&other);
    /* It reconnects, and its next request is answered. */
    json_decref(answer_to(&client, "{\"request\":\"hello\"}", "hello"));
    client_close(&client);
    free(huge);
}

/* A client can choose its id, of up to 255 bytes, even one that another client has. */
static void clients_choose_their_ids(void **state)
{
    struct service *service = *state;
    service_start(service);
    char id[255];
    memset(id, 'x', sizeof id);
    struct client first = client_new(ZMQ_DEALER);
    assert_int_equal(zmq_setsockopt(first.socket, ZMQ_ROUTING_ID, id, sizeof id), 0);
    client_connect(&first, service->replay);
    json_decref(answer_to(&first, "{\"request\":\"hello\"}", "hello"));
    struct client second = client_new(ZMQ_DEALER);
    assert_int_equal(zmq_setsockopt(second.socket, ZMQ_ROUTING_ID, id, sizeof id), 0);
    client_connect(&second, service->replay);
    ask(&second, "{\"request\":\"hello\"}");
    json_decref(answer_to(&first, "{\"request\":\"hello\"}", "hello"));
    client_close(&first);
    client_close(&second);
}

/* Random bytes, and well-formed requests with a byte changed: always an answer. */
static void random_requests(void **state)
{
    static const char *const good[] = {
        "{\"request\":\"hello\"}",
        "{\"request\":\"status\"}",
        "{\"request\":\"micrograph\",\"name\":\"a.mrc\"}",
        "{\"request\":\"retry\",\"paths\":[\"a.mrc\"]}",
    };
    struct service *service = *state;
    unsigned seed = 1;
    service_start(service);
    struct client client = dealer(service);
    for (int i = 0; i < 2000; i++) {
        char request[100];
        const char *base = good[rand_r(&seed) % 4];
        size_t length = strlen(base);
        memcpy(request, base, length);
        for (int changes = rand_r(&seed) % 4; changes > 0; changes--)
            request[(size_t)rand_r(&seed) % length] = (char)(rand_r(&seed) % 256);
        assert_true(zmq_send(client.socket, request, length, 0) >= 0);
        struct message message = receive(&client);
        assert_int_equal(message.frames, 1);
        message_done(&message);
    }
    client_close(&client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, service_setup, service_teardown)
    const struct CMUnitTest tests[] = {
        TEST(replayed_messages_are_identical),
        TEST(since_a_seq),
        TEST(delimiter_in_delimiter_out),
        TEST(no_gap_between_replay_and_live),
        TEST(a_client_that_does_not_read_waits_alone),
        TEST(one_replay_for_a_client),
        TEST(too_many_replays_are_refused),
        TEST(hello_tells_the_stream_and_the_configuration),
        TEST(one_micrograph_again),
        TEST(retry_at_the_control_socket),
        TEST(bad_requests_get_an_error),
        TEST(huge_frames_are_not_taken),
        TEST(clients_choose_their_ids),
        TEST(random_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
