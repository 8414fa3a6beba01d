/* What the watcher need not ask about: for how long it is remembered, and in how much memory. */
#include "watch/known_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LENT = 6 };

static struct ps_identity identity_of(size_t number)
{
    return (struct ps_identity){
        .device = 1, .inode = number, .size = 1 << 20, .mtime_ns = 1700000000000000000};
}

static void add(struct ps_memo *memo, size_t number, unsigned turns)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/data/GridSquare_1/%06zu.mrc", number);
    const struct ps_identity identity = identity_of(number);
    ps_memo_add(memo, path, &identity, turns);
}

static bool has(struct ps_memo *memo, size_t number)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/data/GridSquare_1/%06zu.mrc", number);
    const struct ps_identity identity = identity_of(number);
    return ps_memo_has(memo, path, &identity);
}

/* ---- how long ---------------------------------------------------------------------------------
 */

static void a_file_is_known_by_path_and_identity(void **state)
{
    (void)state;
    struct ps_memo memo = {0};
    const struct ps_identity identity = identity_of(1);
    assert_false(ps_memo_has(&memo, "/a.mrc", &identity));
    ps_memo_add(&memo, "/a.mrc", &identity, PS_MEMO_WHILE_SEEN);
    assert_true(ps_memo_has(&memo, "/a.mrc", &identity));
    assert_false(ps_memo_has(&memo, "/b.mrc", &identity));
    struct ps_identity others[] = {identity, identity, identity, identity};
    others[0].device++;
    others[1].inode++;
    others[2].size++;
    others[3].mtime_ns++;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(ps_memo_has(&memo, "/a.mrc", &others[i]));
    ps_memo_clear(&memo);
    assert_false(ps_memo_has(&memo, "/a.mrc", &identity));
}

static void what_no_scan_comes_by_is_forgotten_after_two(void **state)
{
    (void)state;
    struct ps_memo memo = {0};
    add(&memo, 1, PS_MEMO_WHILE_SEEN);
    add(&memo, 2, PS_MEMO_WHILE_SEEN);
    for (int i = 0; i < 50; i++) {
        ps_memo_turn(&memo);
        assert_true(has(&memo, 1));
    }
    ps_memo_turn(&memo);
    assert_false(has(&memo, 2));
    assert_int_equal(memo.count, 1);
    ps_memo_turn(&memo);
    assert_int_equal(memo.count, 0);
    ps_memo_clear(&memo);
}

static void what_is_lent_is_forgotten_after_its_turns_however_often_asked_for(void **state)
{
    (void)state;
    struct ps_memo memo = {0};
    for (unsigned turns = 1; turns <= PS_MEMO_TURNS_MOST; turns++)
        add(&memo, turns, turns);
    for (unsigned turn = 0; turn <= PS_MEMO_TURNS_MOST; turn++) {
        for (unsigned turns = 1; turns <= PS_MEMO_TURNS_MOST; turns++)
            assert_int_equal(has(&memo, turns), turns > turn);
        ps_memo_turn(&memo);
    }
    ps_memo_clear(&memo);
}

static void what_was_lent_can_be_kept(void **state)
{
    (void)state;
    struct ps_memo memo = {0};
    add(&memo, 1, LENT);
    add(&memo, 1, PS_MEMO_WHILE_SEEN);
    assert_int_equal(memo.count, 1);
    for (int i = 0; i < 3 * LENT; i++) {
        ps_memo_turn(&memo);
        assert_true(has(&memo, 1));
    }
    ps_memo_clear(&memo);
}

/* ---- many -------------------------------------------------------------------------------------
 */

/* Against an array that says of each file how many turns it has left; every turn, files come, go,
 * and are asked for by chance, so that gaps open everywhere in the table. */
static void many_come_and_go(void **state)
{
    (void)state;
    enum { FILES = 20000, TURNS = 40 };
    static unsigned left[FILES];
    static bool kept[FILES];
    struct ps_memo memo = {0};
    srand(1);
    for (int turn = 0; turn < TURNS; turn++) {
        size_t count = 0;
        for (size_t i = 0; i < FILES; i++) {
            const int chance = rand() % 8;
            if (chance < 2 && turn < TURNS / 2) {
                kept[i] = chance == 0;
                left[i] = kept[i] ? 2 : LENT;
                add(&memo, i, kept[i] ? PS_MEMO_WHILE_SEEN : LENT);
            } else if (chance < 6) {
                assert_int_equal(has(&memo, i), left[i] > 0);
                if (kept[i] && left[i])
                    left[i] = 2;
            }
            count += left[i] > 0;
        }
        assert_int_equal(memo.count, count);
        ps_memo_turn(&memo);
        for (size_t i = 0; i < FILES; i++)
            left[i] -= left[i] > 0;
    }
    ps_memo_clear(&memo);
}

static size_t bytes_of(const struct ps_memo *memo)
{
    return memo->room * sizeof *memo->slots;
}

static void a_file_costs_9_to_18_bytes(void **state)
{
    (void)state;
    struct ps_memo memo = {0};
    for (size_t i = 0; i < 100000; i++) {
        add(&memo, i, PS_MEMO_WHILE_SEEN);
        assert_int_equal(memo.count, i + 1);
        assert_true(i < 1000 || bytes_of(&memo) < 19 * memo.count);
    }
    assert_int_equal(bytes_of(&memo), 1 << 20);
    for (size_t i = 0; i < 100000; i++)
        assert_true(has(&memo, i));
    assert_false(has(&memo, 100000));
    ps_memo_clear(&memo);
}

static void room_is_given_back(void **state)
{
    (void)state;
    struct ps_memo memo = {0};
    for (size_t i = 0; i < 100000; i++)
        add(&memo, i, PS_MEMO_WHILE_SEEN);
    for (int turn = 0; turn < 2; turn++) {
        ps_memo_turn(&memo);
        for (size_t i = 0; i < 1000; i++)
            assert_true(has(&memo, i));
    }
    ps_memo_turn(&memo);
    assert_int_equal(memo.count, 1000);
    assert_true(bytes_of(&memo) <= 64 * memo.count);
    for (size_t i = 0; i < 1000; i++)
        assert_true(has(&memo, i));
    ps_memo_clear(&memo);
    assert_int_equal(bytes_of(&memo), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_known_by_path_and_identity),
        cmocka_unit_test(what_no_scan_comes_by_is_forgotten_after_two),
        cmocka_unit_test(what_is_lent_is_forgotten_after_its_turns_however_often_asked_for),
        cmocka_unit_test(what_was_lent_can_be_kept),
        cmocka_unit_test(many_come_and_go),
        cmocka_unit_test(a_file_costs_9_to_18_bytes),
        cmocka_unit_test(room_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
