#include "watch/known_files.h"

#include <stdlib.h>

enum {
    TERM_BITS = 4,
    TERM = (1 << TERM_BITS) - 1, /* of a slot: how many turns are left, or SEEN or UNSEEN */
    SEEN = PS_MEMO_WHILE_SEEN,   /* since the last turn */
    UNSEEN = SEEN - 1,           /* since then; the next turn forgets it */
    LEAST_ROOM = 256,
};

static uint64_t mix(uint64_t x) /* the finaliser of splitmix64 */
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

/* Never 0: a slot whose term is over must still differ from a free one. */
static uint64_t hash_of(const char *path, const struct ps_identity *identity)
{
    const uint64_t numbers[] = {identity->device, identity->inode, identity->size,
                                (uint64_t)identity->mtime_ns};
    uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */
    for (const char *c = path; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 0x100000001b3;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        hash = mix(hash ^ numbers[i]) + 0x9e3779b97f4a7c15;
    hash >>= TERM_BITS;
    return hash ? hash : 1;
}

/* ---- slots ------------------------------------------------------------------------------------
 */

/* Where the search for a hash begins. */
static size_t home_of(const struct ps_memo *memo, uint64_t hash)
{
    return hash & (memo->room - 1);
}

/* Where the hash is, or would be. There is always a free slot to end at. */
static uint64_t *slot_of(const struct ps_memo *memo, uint64_t hash)
{
    size_t i = home_of(memo, hash);
    while (memo->slots[i] && memo->slots[i] >> TERM_BITS != hash)
        i = (i + 1) & (memo->room - 1);
    return &memo->slots[i];
}

/* Without memory it stays as it is. */
static void resize(struct ps_memo *memo, size_t room)
{
    struct ps_memo other = {.count = memo->count, .room = room};
    other.slots = calloc(room, sizeof *other.slots);
    if (!other.slots)
        return;
    for (size_t i = 0; i < memo->room; i++)
        if (memo->slots[i])
            *slot_of(&other, memo->slots[i] >> TERM_BITS) = memo->slots[i];
    free(memo->slots);
    *memo = other;
}

/* Frees a slot. What follows without a gap and would not be found beyond one moves up. */
static void remove_at(struct ps_memo *memo, size_t gap)
{
    const size_t mask = memo->room - 1;
    for (size_t i = (gap + 1) & mask; memo->slots[i]; i = (i + 1) & mask) {
        const size_t home = home_of(memo, memo->slots[i] >> TERM_BITS);
        if (((i - home) & mask) >= ((i - gap) & mask)) {
            memo->slots[gap] = memo->slots[i];
            gap = i;
        }
    }
    memo->slots[gap] = 0;
    memo->count--;
}

/* ---- files ------------------------------------------------------------------------------------
 */

void ps_memo_add(struct ps_memo *memo, const char *path, const struct ps_identity *identity,
                 unsigned turns)
{
    if (8 * (memo->count + 1) > 7 * memo->room)
        resize(memo, memo->room ? 2 * memo->room : LEAST_ROOM);
    if (8 * (memo->count + 1) > 7 * memo->room)
        return;
    const uint64_t hash = hash_of(path, identity);
    uint64_t *slot = slot_of(memo, hash);
    memo->count += *slot == 0;
    *slot = hash << TERM_BITS | turns;
}

bool ps_memo_has(struct ps_memo *memo, const char *path, const struct ps_identity *identity)
{
    if (!memo->room)
        return false;
    uint64_t *slot = slot_of(memo, hash_of(path, identity));
    if ((*slot & TERM) == UNSEEN)
        *slot |= SEEN;
    return *slot != 0;
}

void ps_memo_turn(struct ps_memo *memo)
{
    for (size_t i = 0; i < memo->room; i++)
        if (memo->slots[i])
            memo->slots[i] -= (memo->slots[i] & TERM) == UNSEEN ? UNSEEN : 1;
    for (size_t i = 0; i < memo->room; i++)
        while (memo->slots[i] && !(memo->slots[i] & TERM))
            remove_at(memo, i);
    size_t room = memo->room;
    while (room > LEAST_ROOM && memo->count < room / 8)
        room /= 2;
    if (room < memo->room)
        resize(memo, room);
}

void ps_memo_clear(struct ps_memo *memo)
{
    free(memo->slots);
    *memo = (struct ps_memo){0};
}
