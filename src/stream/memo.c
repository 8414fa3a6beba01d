#include "stream/memo.h"

#include <stdlib.h>

static uint64_t mix(uint64_t x) /* the finaliser of splitmix64 */
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

static uint64_t hash_of(const char *path, const struct ps_identity *identity)
{
    const uint64_t numbers[] = {identity->device, identity->inode, identity->size,
                                (uint64_t)identity->mtime_ns};
    uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */
    for (const char *c = path; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 0x100000001b3;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        hash = mix(hash ^ numbers[i]) + 0x9e3779b97f4a7c15;
    return hash ? hash : 1;
}

/* Where the hash is, or would be. */
static uint64_t *slot_of(const struct ps_memo_set *set, uint64_t hash)
{
    size_t i = hash & (set->room - 1);
    while (set->slots[i] && set->slots[i] != hash)
        i = (i + 1) & (set->room - 1);
    return &set->slots[i];
}

static bool has(const struct ps_memo_set *set, uint64_t hash)
{
    return set->room && *slot_of(set, hash) == hash;
}

/* Without memory it is not remembered, which costs time only. */
static void insert(struct ps_memo_set *set, uint64_t hash)
{
    if (2 * set->count >= set->room) {
        struct ps_memo_set grown = {.room = set->room ? 2 * set->room : 256};
        grown.slots = calloc(grown.room, sizeof *grown.slots);
        if (!grown.slots)
            return;
        for (size_t i = 0; i < set->room; i++)
            if (set->slots[i])
                *slot_of(&grown, set->slots[i]) = set->slots[i];
        grown.count = set->count;
        free(set->slots);
        *set = grown;
    }
    uint64_t *slot = slot_of(set, hash);
    set->count += *slot == 0;
    *slot = hash;
}

bool ps_memo_has(struct ps_memo *memo, const char *path, const struct ps_identity *identity)
{
    const uint64_t hash = hash_of(path, identity);
    if (has(&memo->sets[0], hash))
        return true;
    if (!has(&memo->sets[1], hash))
        return false;
    insert(&memo->sets[0], hash);
    return true;
}

void ps_memo_add(struct ps_memo *memo, const char *path, const struct ps_identity *identity)
{
    insert(&memo->sets[0], hash_of(path, identity));
}

void ps_memo_turn(struct ps_memo *memo)
{
    free(memo->sets[1].slots);
    memo->sets[1] = memo->sets[0];
    memo->sets[0] = (struct ps_memo_set){0};
}

void ps_memo_clear(struct ps_memo *memo)
{
    ps_memo_turn(memo);
    ps_memo_turn(memo);
}
