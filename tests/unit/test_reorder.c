/* Order, gaps and repair without sockets: what a subscriber gets, whatever arrives in which order.
 * Time is a number here. Covers P29 (silent drops), P31 (late join), P33 (another stream). */
#include "base/error.h"
#include "subscribe/reorder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char A[] = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa";
static const char B[] = "bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb";
static const int64_t second = 1000000000;

/* A reorder, the time, and a line of what came out: "1 2 gap3-4 lost3-4". */
struct fixture {
    struct ps_reorder *reorder;
    int64_t now;
    char story[4096];
};

static void tell(struct fixture *fixture, const char *word, uint64_t first, uint64_t last)
{
    size_t length = strlen(fixture->story);
    char range[48] = "";
    if (last)
        (void)snprintf(range, sizeof range, "-%llu", (unsigned long long)last);
    (void)snprintf(fixture->story + length, sizeof fixture->story - length, "%s%s%llu%s",
                   length ? " " : "", word, (unsigned long long)first, range);
}

static void drain(struct fixture *fixture)
{
    for (;;) {
        struct ps_subscriber_event event;
        ps_reorder_next(fixture->reorder, &event);
        switch (event.kind) {
        case PS_EVENT_NONE:
            return;
        case PS_EVENT_OUTCOME:
            assert_int_equal(event.record->seq, event.first);
            tell(fixture, "", event.first, 0);
            ps_outcome_record_free(event.record);
            break;
        case PS_EVENT_GAP:
            tell(fixture, "gap", event.first, event.last);
            break;
        case PS_EVENT_LOST:
            assert_true(*event.text);
            tell(fixture, "lost", event.first, event.last);
            break;
        case PS_EVENT_STREAM:
            tell(fixture, "stream", event.first, 0);
            break;
        case PS_EVENT_SHORT:
            tell(fixture, "short", event.last, 0);
            break;
        case PS_EVENT_NOTE:
            fail_msg("a note from the reorder buffer");
        }
    }
}

static struct fixture begin(bool replay, uint64_t since)
{
    const struct ps_reorder_options options = {
        .replay = replay, .since = since, .heartbeat_ns = 5 * second, .timeout_ns = 30 * second};
    struct fixture fixture = {.now = 1000 * second};
    fixture.reorder = ps_reorder_new(&options, fixture.now);
    assert_non_null(fixture.reorder);
    return fixture;
}

static void end(struct fixture *fixture)
{
    ps_reorder_free(fixture->reorder);
}

static struct ps_outcome_record *outcome(const char *stream, uint64_t seq)
{
    struct ps_outcome_record *record = calloc(1, sizeof *record);
    assert_non_null(record);
    memcpy(record->stream, stream, sizeof record->stream);
    record->seq = seq;
    record->bytes = 1000;
    return record;
}

static void live(struct fixture *fixture, const char *stream, uint64_t first, uint64_t last)
{
    for (uint64_t seq = first; seq <= last; seq++) {
        ps_reorder_live(fixture->reorder, outcome(stream, seq), fixture->now);
        drain(fixture);
    }
}

static void replayed(struct fixture *fixture, const char *stream, uint64_t first, uint64_t last)
{
    for (uint64_t seq = first; seq <= last; seq++) {
        ps_reorder_replayed(fixture->reorder, outcome(stream, seq), stream, seq, fixture->now);
        drain(fixture);
    }
}

static void replay_end(struct fixture *fixture, uint64_t last_seq)
{
    ps_reorder_end(fixture->reorder, last_seq, fixture->now);
    drain(fixture);
}

static void status(struct fixture *fixture, const char *stream, uint64_t last_seq)
{
    ps_reorder_status(fixture->reorder, stream, last_seq, fixture->now);
    drain(fixture);
}

static void pass(struct fixture *fixture, int64_t seconds)
{
    fixture->now += seconds * second;
    ps_reorder_tick(fixture->reorder, fixture->now);
    drain(fixture);
}

static void assert_asks(struct fixture *fixture, uint64_t since, bool fresh)
{
    uint64_t wanted = 12345;
    bool is_fresh = !fresh;
    assert_true(ps_reorder_wants(fixture->reorder, &wanted, &is_fresh, fixture->now));
    assert_int_equal(wanted, since);
    assert_int_equal(is_fresh, fresh);
}

static void assert_quiet(struct fixture *fixture)
{
    uint64_t since;
    bool fresh;
    assert_false(ps_reorder_wants(fixture->reorder, &since, &fresh, fixture->now));
}

/* ---- what goes well -------------------------------------------------------------------------- */

static void begins_with_what_is_published_from_now(void **state)
{
    (void)state;
    struct fixture f = begin(false, 0);
    live(&f, A, 7, 9);
    assert_string_equal(f.story, "7 8 9");
    assert_quiet(&f);
    assert_true(ps_reorder_deadline(f.reorder) == INT64_MAX);
    end(&f);
}

static void a_heartbeat_is_a_beginning_too(void **state)
{
    (void)state;
    struct fixture f = begin(false, 0);
    status(&f, A, 4);
    live(&f, A, 6, 6); /* so 5 was missed */
    assert_string_equal(f.story, "gap5-5");
    assert_asks(&f, 4, false);
    end(&f);
}

static void duplicates_come_out_once(void **state)
{
    (void)state;
    struct fixture f = begin(false, 0);
    live(&f, A, 1, 3);
    live(&f, A, 2, 3);
    live(&f, A, 5, 5);
    live(&f, A, 5, 5);
    replayed(&f, A, 3, 5);
    live(&f, A, 4, 6);
    assert_string_equal(f.story, "1 2 3 gap4-4 4 5 6");
    end(&f);
}

static void a_gap_is_repaired_in_order(void **state)
{
    (void)state;
    struct fixture f = begin(false, 0);
    live(&f, A, 1, 2);
    live(&f, A, 5, 6);
    assert_asks(&f, 2, false);
    assert_quiet(&f); /* asked once */
    replayed(&f, A, 3, 3);
    live(&f, A, 7, 7);
    replayed(&f, A, 4, 6);
    replay_end(&f, 6);
    live(&f, A, 8, 8);
    assert_string_equal(f.story, "1 2 gap3-4 3 4 5 6 7 8");
    assert_quiet(&f);
    assert_true(ps_reorder_deadline(f.reorder) == INT64_MAX);
    end(&f);
}

static void what_was_dropped_last_shows_in_a_heartbeat(void **state)
{
    (void)state;
    struct fixture f = begin(false, 0);
    live(&f, A, 1, 2);
    status(&f, A, 4);
    assert_quiet(&f); /* may be on its way */
    live(&f, A, 3, 3);
    pass(&f, 4);
    assert_quiet(&f);
    pass(&f, 1);
    assert_asks(&f, 3, false);
    replayed(&f, A, 4, 4);
    replay_end(&f, 4);
    assert_string_equal(f.story, "1 2 3 gap4-4 4");
    end(&f);
}

static void a_heartbeat_that_overtook_asks_for_nothing(void **state)
{
    (void)state;
    struct fixture f = begin(false, 0);
    live(&f, A, 1, 2);
    status(&f, A, 3);
    live(&f, A, 3, 3);
    pass(&f, 60);
    assert_quiet(&f);
    assert_string_equal(f.story, "1 2 3");
    end(&f);
}

/* ---- late join ------------------------------------------------------------------------------- */

static void since_comes_first_then_what_is_new(void **state)
{
    (void)state;
    struct fixture f = begin(true, 2);
    assert_asks(&f, 2, false);
    live(&f, A, 6, 7); /* published meanwhile */
    replayed(&f, A, 3, 6);
    replay_end(&f, 6);
    live(&f, A, 8, 8);
    assert_string_equal(f.story, "3 4 5 6 7 8");
    assert_quiet(&f);
    end(&f);
}

static void since_waits_for_a_service_that_is_not_there_yet(void **state)
{
    (void)state;
    struct fixture f = begin(true, 0);
    assert_asks(&f, 0, false);
    for (int i = 0; i < 20; i++) { /* 100 s */
        pass(&f, 5);
        assert_asks(&f, 0, true);
    }
    replayed(&f, A, 1, 2);
    replay_end(&f, 2);
    assert_string_equal(f.story, "1 2");
    end(&f);
}

static void since_beyond_the_end_is_another_stream(void **state)
{
    (void)state;
    struct fixture f = begin(true, 500);
    assert_asks(&f, 500, false);
    replay_end(&f, 3);
    assert_asks(&f, 0, false);
    replayed(&f, A, 1, 3);
    replay_end(&f, 3);
    live(&f, A, 4, 4);
    assert_string_equal(f.story, "short3 1 2 3 4");
    end(&f);
}

static void since_the_last_one_brings_what_follows(void **state)
{
    (void)state;
    struct fixture f = begin(true, 3);
    assert_asks(&f, 3, false);
    replay_end(&f, 3);
    live(&f, A, 4, 4);
    assert_string_equal(f.story, "4");
    end(&f);
}

/* ---- what goes wrong ------------------------------------------------------------------------- */

static void what_no_answer_brings_is_lost_after_the_timeout(void **state)
{
    (void)state;
    struct fixture f = begin(false, 0);
    live(&f, A, 1, 1);
    live(&f, A, 4, 4);
    live(&f, A, 6, 6);
    assert_asks(&f, 1, false);
    pass(&f, 5);
    assert_asks(&f, 1, true); /* through a new socket: the request may have been lost */
    pass(&f, 24);
    assert_string_equal(f.story, "1 gap2-3");
    pass(&f, 1);
    assert_string_equal(f.story, "1 gap2-3 lost2-3 4 lost5-5 6");
    assert_quiet(&f);
    live(&f, A, 7, 7);
    live(&f, A, 9, 9); /* a new gap is requested again */
    assert_asks(&f, 7, true);
    assert_string_equal(f.story, "1 gap2-3 lost2-3 4 lost5-5 6 7 gap8-8");
    end(&f);
}

static void an_answer_with_a_gap_is_asked_for_again_and_not_for_ever(void **state)
{
    (void)state;
    struct fixture f = begin(true, 0);
    assert_asks(&f, 0, false);
    replayed(&f, A, 1, 2);
    replayed(&f, A, 4, 5);
    replay_end(&f, 5);
    assert_asks(&f, 2, false); /* at once, for it did bring something */
    for (int asked = 0; asked < 29; asked++) {
        replayed(&f, A, 4, 5);
        replay_end(&f, 5);
        assert_quiet(&f); /* not in a tight loop */
        pass(&f, 1);
        assert_asks(&f, 2, false);
    }
    pass(&f, 1);
    assert_string_equal(f.story, "1 2 lost3-3 4 5");
    end(&f);
}

static void a_slow_answer_is_no_timeout(void **state)
{
    (void)state;
    struct fixture f = begin(true, 0);
    assert_asks(&f, 0, false);
    status(&f, A, 100);
    for (uint64_t seq = 1; seq <= 100; seq++) {
        pass(&f, 4);
        assert_quiet(&f);
        replayed(&f, A, seq, seq);
    }
    replay_end(&f, 100);
    pass(&f, 100);
    assert_null(strstr(f.story, "lost"));
    assert_non_null(strstr(f.story, "99 100"));
    end(&f);
}

static void unreadable_ones_are_asked_for_and_then_given_up_at_once(void **state)
{
    (void)state;
    struct fixture f = begin(false, 0);
    live(&f, A, 1, 1);
    ps_reorder_unreadable(f.reorder, A, 2, f.now);
    drain(&f);
    assert_asks(&f, 1, false);
    ps_reorder_replayed(f.reorder, NULL, A, 2, f.now);
    drain(&f);
    replay_end(&f, 2);
    live(&f, A, 3, 3);
    assert_string_equal(f.story, "1 gap2-2 lost2-2 3");
    end(&f);
}

static void what_is_held_back_is_bounded_and_still_comes(void **state)
{
    (void)state;
    struct fixture f = begin(false, 0);
    const uint64_t last = 3 * PS_REORDER_WINDOW;
    live(&f, A, 1, 1);
    live(&f, A, 3, last);
    assert_string_equal(f.story, "1 gap2-2");
    *f.story = '\0';
    assert_asks(&f, 1, false);
    ps_reorder_replayed(f.reorder, outcome(A, 2), A, 2, f.now);
    uint64_t came = 0;
    for (struct ps_subscriber_event event = {.kind = PS_EVENT_OUTCOME};
         event.kind != PS_EVENT_NONE;) {
        ps_reorder_next(f.reorder, &event);
        came += event.kind == PS_EVENT_OUTCOME;
        ps_outcome_record_free(event.record);
    }
    assert_int_equal(came, PS_REORDER_WINDOW); /* 2 and what fitted */
    replay_end(&f, 2);                         /* the answer had been cut: */
    assert_asks(&f, PS_REORDER_WINDOW + 1, false);
    live(&f, A, last + 1, last + 1);
    for (uint64_t seq = PS_REORDER_WINDOW + 2; seq <= last; seq++) {
        *f.story = '\0';
        replayed(&f, A, seq, seq);
    }
    replay_end(&f, last);
    replayed(&f, A, last + 1, last + 1);
    assert_int_equal(ps_reorder_last(f.reorder), last + 1);
    end(&f);
}

static void few_large_ones_are_held_back(void **state)
{
    (void)state;
    struct fixture f = begin(false, 0);
    live(&f, A, 1, 1);
    for (uint64_t seq = 3; seq < 13; seq++) {
        struct ps_outcome_record *record = outcome(A, seq);
        record->bytes = PS_REORDER_BYTES / 4;
        ps_reorder_live(f.reorder, record, f.now);
        drain(&f);
    }
    assert_asks(&f, 1, false);
    replayed(&f, A, 2, 2);
    assert_string_equal(f.story, "1 gap2-2 2 3 4 5 6");
    replay_end(&f, 2);
    assert_asks(&f, 6, false);
    end(&f);
}

static void a_large_gap_is_one_loss(void **state)
{
    (void)state;
    struct fixture f = begin(false, 0);
    live(&f, A, 1, 1);
    live(&f, A, 1000000000, 1000000000);
    assert_asks(&f, 1, false);
    pass(&f, 30);
    live(&f, A, 1000000001, 1000000001);
    assert_string_equal(f.story, "1 gap2-1000000000 lost2-1000000000 1000000001");
    end(&f);
}

/* ---- another stream -------------------------------------------------------------------------- */

static void another_stream_begins_anew(void **state)
{
    (void)state;
    struct fixture f = begin(false, 0);
    live(&f, A, 8, 9);
    live(&f, B, 1, 2);
    assert_string_equal(f.story, "8 9 stream1 1 2");
    assert_quiet(&f);
    end(&f);
}

static void another_stream_is_had_from_its_first_with_since(void **state)
{
    (void)state;
    struct fixture f = begin(true, 7);
    assert_asks(&f, 7, false);
    replay_end(&f, 7);
    live(&f, A, 8, 8);
    live(&f, B, 3, 3);
    assert_asks(&f, 0, false);
    replayed(&f, B, 1, 3);
    replay_end(&f, 3);
    assert_string_equal(f.story, "8 stream1 gap1-2 1 2 3");
    end(&f);
}

static void a_stream_that_ends_in_a_gap_loses_it(void **state)
{
    (void)state;
    struct fixture f = begin(false, 0);
    live(&f, A, 1, 1);
    live(&f, A, 4, 4);
    assert_asks(&f, 1, false);
    replayed(&f, B, 1, 1); /* who answers is the other one already */
    live(&f, B, 2, 2);
    assert_string_equal(f.story, "1 gap2-3 lost2-3 4 stream2 2");
    replayed(&f, A, 5, 5); /* late, and of the old one */
    replay_end(&f, 9);
    live(&f, B, 3, 3);
    assert_string_equal(f.story, "1 gap2-3 lost2-3 4 stream2 2 3");
    end(&f);
}

static void a_stream_that_ends_loses_what_its_heartbeat_told_of(void **state)
{
    (void)state;
    struct fixture f = begin(false, 0);
    live(&f, A, 1, 1);
    status(&f, A, 3);
    status(&f, B, 0);
    live(&f, B, 1, 1);
    assert_string_equal(f.story, "1 lost2-3 stream1 1");
    end(&f);
}

/* Whatever is dropped, doubled and cut: everything comes once and in order. */
static void any_loss_is_repaired(void **state)
{
    (void)state;
    unsigned random = 1;
    for (int run = 0; run < 200; run++) {
        struct fixture f = begin(true, 0);
        char expected[sizeof f.story] = "";
        const uint64_t count = 40;
        uint64_t published = 0;
        for (int turn = 0; turn < 2000 && ps_reorder_last(f.reorder) < count; turn++) {
            random = random * 1103515245 + 12345;
            unsigned dice = random >> 16;
            if (published < count && dice % 3 == 0) {
                published++;
                if (dice % 5 != 0)
                    live(&f, A, published, published);
                if (dice % 7 == 0)
                    live(&f, A, published, published);
            } else if (published == count && dice % 11 == 0) {
                status(&f, A, published);
            }
            uint64_t since;
            bool fresh;
            if (ps_reorder_wants(f.reorder, &since, &fresh, f.now)) {
                for (uint64_t seq = since + 1; seq <= published; seq++)
                    if ((seq + dice) % 4 != 0)
                        replayed(&f, A, seq, seq);
                if (dice % 8 != 0)
                    replay_end(&f, published);
            }
            pass(&f, 1);
        }
        for (uint64_t seq = 1; seq <= count; seq++)
            (void)snprintf(expected + strlen(expected), sizeof expected - strlen(expected),
                           seq == 1 ? "%d" : " %d", (int)seq);
        /* Reports of gaps come between; without them: */
        for (char *gap; (gap = strstr(f.story, "gap")) != NULL;) {
            size_t word = strcspn(gap, " ");
            word += gap[word] == ' ';
            memmove(gap, gap + word, strlen(gap + word) + 1);
        }
        assert_string_equal(f.story, expected);
        end(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begins_with_what_is_published_from_now),
        cmocka_unit_test(a_heartbeat_is_a_beginning_too),
        cmocka_unit_test(duplicates_come_out_once),
        cmocka_unit_test(a_gap_is_repaired_in_order),
        cmocka_unit_test(what_was_dropped_last_shows_in_a_heartbeat),
        cmocka_unit_test(a_heartbeat_that_overtook_asks_for_nothing),
        cmocka_unit_test(since_comes_first_then_what_is_new),
        cmocka_unit_test(since_waits_for_a_service_that_is_not_there_yet),
        cmocka_unit_test(since_beyond_the_end_is_another_stream),
        cmocka_unit_test(since_the_last_one_brings_what_follows),
        cmocka_unit_test(what_no_answer_brings_is_lost_after_the_timeout),
        cmocka_unit_test(an_answer_with_a_gap_is_asked_for_again_and_not_for_ever),
        cmocka_unit_test(a_slow_answer_is_no_timeout),
        cmocka_unit_test(unreadable_ones_are_asked_for_and_then_given_up_at_once),
        cmocka_unit_test(what_is_held_back_is_bounded_and_still_comes),
        cmocka_unit_test(few_large_ones_are_held_back),
        cmocka_unit_test(a_large_gap_is_one_loss),
        cmocka_unit_test(another_stream_begins_anew),
        cmocka_unit_test(another_stream_is_had_from_its_first_with_since),
        cmocka_unit_test(a_stream_that_ends_in_a_gap_loses_it),
        cmocka_unit_test(a_stream_that_ends_loses_what_its_heartbeat_told_of),
        cmocka_unit_test(any_loss_is_repaired),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
