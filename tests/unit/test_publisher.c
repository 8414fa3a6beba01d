/* The publisher: order, seqs, detectable drops, a full disk, and the end. */
#include "publishing.h"

#include <stdatomic.h>

/* ---- outcomes -------------------------------------------------------------------------------- */

/* P32, P40: every outcome is one message, in the order of seq, also those without picks. */
static void every_outcome_is_published(void **state)
{
    struct service *service = *state;
    service_start(service);
    struct client subscriber = subscribe(service);
    submit(service, "Grid_1/a.mrc", 3);
    wait_finished(service, 1);
    submit(service, "Grid_1/b.mrc", 0);
    wait_finished(service, 2);
    submit_rejection(service, "Grid_2/a.mrc", "constant");
    wait_finished(service, 3);
    submit_failure(service, "Grid_2/b.mrc", "file ends early");
    static const struct {
        const char *name, *status, *reason;
        int count;
    } expected[] = {
        {"Grid_1/a.mrc", "picked", NULL, 3},
        {"Grid_1/b.mrc", "picked", NULL, 0},
        {"Grid_2/a.mrc", "rejected", "constant", 0},
        {"Grid_2/b.mrc", "failed", "file ends early", 0},
    };
    for (int i = 0; i < 4; i++) {
        struct message message = receive_picks(&subscriber);
        assert_int_equal(message.frames, 3);
        assert_string_equal(message.topic, "picks");
        const json_t *header = message.header;
        assert_string_equal(text_at(header, "stream"), ps_journal_stream(service->journal));
        assert_string_equal(text_at(header, "session"), "s1");
        assert_int_equal(number_at(header, "seq"), i + 1);
        assert_string_equal(text_at(header, "micrograph.name"), expected[i].name);
        assert_string_equal(text_at(header, "result.status"), expected[i].status);
        assert_int_equal(number_at(header, "result.count"), expected[i].count);
        if (expected[i].reason)
            assert_string_equal(text_at(header, "result.reason"), expected[i].reason);
        assert_int_equal(message.array_size, 16 * expected[i].count);
        /* Every received outcome is in the journal. */
        assert_true(ps_journal_last_seq(service->journal) >= (uint64_t)i + 1);
        message_done(&message);
    }
    wait_finished(service, 4);
    static const struct {
        enum ps_counter counter;
        uint64_t value;
    } counters[] = {
        {PS_COUNTER_PICKED, 2}, {PS_COUNTER_REJECTED, 1},  {PS_COUNTER_FAILED, 1},
        {PS_COUNTER_PICKS, 3},  {PS_COUNTER_PUBLISHED, 4},
    };
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
        assert_int_equal(ps_metrics_counter(service->metrics, counters[i].counter),
                         counters[i].value);
    assert_true(ps_metrics_quantile(service->metrics, PS_HISTOGRAM_LATENCY, 0.5) > 0);
    assert_true(ps_metrics_quantile(service->metrics, PS_HISTOGRAM_COMMIT, 0.5) > 0);
    client_close(&subscriber);
}

/* P33: another run continues with the same stream and the next seq. */
static void a_restart_goes_on(void **state)
{
    struct service *service = *state;
    service_start(service);
    char stream[40];
    (void)snprintf(stream, sizeof stream, "%s", ps_journal_stream(service->journal));
    submit_many(service, 5, 1);
    service_stop(service); /* what was submitted is published before it ends */
    assert_int_equal(finished_count(service), 5);

    service_start(service);
    struct client subscriber = subscribe(service);
    submit(service, "after.mrc", 1);
    struct message message = receive_picks(&subscriber);
    assert_string_equal(text_at(message.header, "stream"), stream);
    assert_int_equal(number_at(message.header, "seq"), 6);
    message_done(&message);
    client_close(&subscriber);
}

/* P50: a step of the clock causes neither hours nor negative durations. */
static void clocks_are_set(void **state)
{
    struct service *service = *state;
    service_start(service);
    const int64_t hour_ns = (int64_t)3600 * 1000000000;
    for (int i = -1; i <= 1; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "%d.mrc", i);
        service->clock_ahead_ns = i * hour_ns;
        submit(service, name, 1);
    }
    wait_finished(service, 3);
    for (int i = 0; i <= 1; i++) {
        double seconds = ps_metrics_quantile(service->metrics, PS_HISTOGRAM_LATENCY, i);
        assert_true(seconds > 0 && seconds < 600);
    }
}

/* ---- status ---------------------------------------------------------------------------------- */

static void heartbeats_tell_where_it_stands(void **state)
{
    struct service *service = *state;
    service_start(service);
    uint64_t ticks = ps_publisher_ticks(service->publisher);
    struct client subscriber = subscribe(service);
    submit_many(service, 3, 2);
    submit_failure(service, "bad.mrc", "no");
    wait_finished(service, 4);
    wait_status(&subscriber, "last_seq", 4);
    struct message message = receive(&subscriber);
    assert_int_equal(message.frames, 2);
    const json_t *header = message.header;
    assert_string_equal(text_at(header, "schema"), "pickstream/1");
    assert_string_equal(text_at(header, "type"), "status");
    assert_string_equal(text_at(header, "state"), "running");
    assert_string_equal(text_at(header, "journal"), "ok");
    assert_string_equal(text_at(header, "endpoints.publish"), service->endpoint);
    assert_int_equal(number_at(header, "totals.picked"), 3);
    assert_int_equal(number_at(header, "totals.failed"), 1);
    assert_int_equal(number_at(header, "totals.picks"), 6);
    assert_int_equal(number_at(header, "metrics.published"), 4);
    assert_int_equal(number_at(header, "metrics.subscribers"), 2);
    assert_true(json_is_array(at(header, "watch"))); /* the service's own part */
    message_done(&message);
    assert_true(ps_publisher_ticks(service->publisher) > ticks);

    struct client other = subscribe(service);
    wait_status(&subscriber, "metrics.subscribers", 4);
    client_close(&subscriber);
    message = receive(&other);
    while (number_at(message.header, "metrics.subscribers") != 2) {
        message_done(&message);
        message = receive(&other);
    }
    message_done(&message);
    client_close(&other);
}

/* P34: the last message has the state "stopping", and stopping takes no longer than the linger. */
static void the_end_is_told(void **state)
{
    struct service *service = *state;
    service_start(service);
    struct client subscriber = subscribe(service);
    submit(service, "last.mrc", 1);
    service_stop(service);
    struct message message = receive(&subscriber);
    while (strcmp(message.topic, "picks") == 0 ||
           strcmp(text_at(message.header, "state"), "stopping") != 0) {
        message_done(&message);
        message = receive(&subscriber);
    }
    assert_int_equal(number_at(message.header, "last_seq"), 1);
    message_done(&message);
    client_close(&subscriber);
}

/* ---- subscribers that do not keep up --------------------------------------------------------- */

/* P29, P30: a subscriber that does not read delays no other; its losses show in the seqs and in the
 * heartbeat's last_seq, and it can replay them. */
static void drops_show_and_can_be_repaired(void **state)
{
    enum { OUTCOMES = 600, PICKS = 5000 };
    struct service *service = *state;
    service_configure(service, "publish.high_water_mark", "5", NULL);
    service_start(service);
    struct client slow = client_new(ZMQ_SUB);
    client_set(&slow, ZMQ_RCVHWM, 1);
    client_set(&slow, ZMQ_RCVBUF, 4096);
    client_connect(&slow, service->endpoint);
    struct message message = receive(&slow);
    message_done(&message);
    submit_many(service, OUTCOMES, PICKS);
    wait_finished(service, OUTCOMES);

    long long seq = 0, heard = 0, last = 0;
    while (last < OUTCOMES) {
        message = receive(&slow);
        if (strcmp(message.topic, "picks") == 0) {
            assert_true(number_at(message.header, "seq") > seq);
            seq = number_at(message.header, "seq");
            heard++;
        } else {
            last = number_at(message.header, "last_seq");
        }
        message_done(&message);
    }
    assert_true(heard > 0 && heard < OUTCOMES);

    struct client repair = dealer(service);
    ask(&repair, "{\"request\":\"since\",\"seq\":0}");
    for (long long i = 1; i <= OUTCOMES; i++) {
        message = receive(&repair);
        assert_int_equal(number_at(message.header, "seq"), i);
        assert_int_equal(message.array_size, 16 * PICKS);
        message_done(&message);
    }
    client_close(&repair);
    client_close(&slow);
}

/* ---- a full disk ------------------------------------------------------------------------------
 */

enum { FLOOD = 200 }; /* more than the publisher holds */

struct flood {
    struct service *service;
    struct ps_completion items[FLOOD];
    atomic_size_t submitted;
};

static void prepare_flood(struct service *service, struct flood *flood)
{
    flood->service = service;
    atomic_init(&flood->submitted, 0);
    for (size_t i = 0; i < FLOOD; i++) {
        char name[40];
        (void)snprintf(name, sizeof name, "flood/%zu.mrc", i);
        flood->items[i] = picked(service, name, 1);
    }
}

static void *submit_flood(void *context)
{
    struct flood *flood = context;
    for (size_t i = 0; i < FLOOD; i++) {
        ps_publisher_submit(flood->service->publisher, &flood->items[i]);
        atomic_fetch_add(&flood->submitted, 1);
    }
    return NULL;
}

/* Receives status messages until the reported state of the journal is failed or not failed, as
 * wanted; no picks may arrive before. */
static void wait_journal(struct client *subscriber, bool failed)
{
    bool now = !failed;
    while (now != failed) {
        struct message message = receive(subscriber);
        assert_string_equal(message.topic, "status");
        now = strncmp(text_at(message.header, "journal"), "failed: ", 8) == 0;
        message_done(&message);
    }
}

/* P48: nothing is published that is not in the journal; workers wait; replay and heartbeats
 * continue; and everything follows in order when the disk has space again. */
static void a_full_disk_holds_everything_back(void **state)
{
    enum { BEFORE = 3 };
    struct service *service = *state;
    struct flood flood;
    service_start(service);
    struct client subscriber = subscribe(service);
    submit_many(service, BEFORE, 1);
    for (int i = 0; i < BEFORE; i++) {
        struct message message = receive_picks(&subscriber);
        message_done(&message);
    }
    wait_finished(service, BEFORE);
    prepare_flood(service, &flood);
    pthread_t worker;
    disk_full(true);
    assert_int_equal(pthread_create(&worker, NULL, submit_flood, &flood), 0);
    wait_journal(&subscriber, true);
    wait_status(&subscriber, "metrics.outcomes_waiting", 65); /* held, and the queue */
    wait_status(&subscriber, "metrics.journal_failures", 2);  /* it keeps trying */
    size_t submitted = atomic_load(&flood.submitted);
    uint64_t last_seq = ps_journal_last_seq(service->journal);
    size_t finished = finished_count(service);

    struct client client = dealer(service);
    ask(&client, "{\"request\":\"since\",\"seq\":1}");
    for (int seq = 2; seq <= BEFORE; seq++) {
        struct message message = receive(&client);
        assert_int_equal(number_at(message.header, "seq"), seq);
        message_done(&message);
    }
    struct message message = receive(&client);
    disk_full(false);
    assert_true(submitted < FLOOD);
    assert_int_equal(last_seq, BEFORE);
    assert_int_equal(finished, BEFORE);
    assert_string_equal(text_at(message.header, "type"), "end");
    assert_int_equal(number_at(message.header, "last_seq"), BEFORE);
    message_done(&message);

    for (int i = 0; i < FLOOD; i++) {
        char name[40];
        (void)snprintf(name, sizeof name, "flood/%d.mrc", i);
        message = receive_picks(&subscriber);
        assert_int_equal(number_at(message.header, "seq"), BEFORE + 1 + i);
        assert_string_equal(text_at(message.header, "micrograph.name"), name);
        message_done(&message);
    }
    assert_int_equal(pthread_join(worker, NULL), 0);
    wait_finished(service, BEFORE + FLOOD);
    wait_journal(&subscriber, false);
    client_close(&client);
    client_close(&subscriber);
}

/* It can stop while the disk is full: nothing is recorded in part, and jobs are handed back. */
static void stopping_gives_up_on_a_full_disk(void **state)
{
    struct service *service = *state;
    service_start(service);
    struct client subscriber = subscribe(service);
    struct ps_completion items[3];
    for (int i = 0; i < 3; i++)
        items[i] = picked(service, (const char *[]){"a.mrc", "b.mrc", "c.mrc"}[i], 1);
    disk_full(true);
    for (int i = 0; i < 3; i++)
        ps_publisher_submit(service->publisher, &items[i]);
    wait_journal(&subscriber, true);
    ps_publisher_stop(service->publisher);
    service->publisher = NULL;
    disk_full(false);
    assert_int_equal(finished_count(service), 3);
    assert_int_equal(ps_journal_last_seq(service->journal), 0);
    struct ps_journal_totals totals;
    struct ps_error error;
    assert_int_equal(ps_journal_totals(service->journal, &totals, &error), 0);
    assert_int_equal(totals.open, 3); /* to be picked when the service runs again */
    ps_journal_close(service->journal);
    client_close(&subscriber);
}

/* A completion that the journal refuses (here: the micrograph has its outcome) blocks no other. */
static void a_refused_outcome_holds_up_no_other(void **state)
{
    struct service *service = *state;
    service_start(service);
    struct client subscriber = subscribe(service);
    submit(service, "a.mrc", 1);
    wait_finished(service, 1);
    struct ps_completion twice = picked(service, "b.mrc", 1);
    twice.job->row = 1;
    ps_publisher_submit(service->publisher, &twice);
    submit(service, "c.mrc", 1);
    wait_finished(service, 3);
    for (int seq = 1; seq <= 2; seq++) {
        struct message message = receive_picks(&subscriber);
        assert_int_equal(number_at(message.header, "seq"), seq);
        assert_string_equal(text_at(message.header, "micrograph.name"),
                            seq == 1 ? "a.mrc" : "c.mrc");
        message_done(&message);
    }
    client_close(&subscriber);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, service_setup, service_teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_outcome_is_published),
        TEST(a_restart_goes_on),
        TEST(clocks_are_set),
        TEST(heartbeats_tell_where_it_stands),
        TEST(the_end_is_told),
        TEST(drops_show_and_can_be_repaired),
        TEST(a_full_disk_holds_everything_back),
        TEST(stopping_gives_up_on_a_full_disk),
        TEST(a_refused_outcome_holds_up_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
