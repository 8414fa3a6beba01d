#include "watch/known_files.h"

#include <stdlib.h>

enum {
    TERM_BITS = 4,
    TERM = (1 << TERM_BITS) - 1, /* of a cell: the number of scans left, or SEEN or UNSEEN */
    SEEN = PS_KNOWN_WHILE_SEEN,  /* found since the last scan began */
    UNSEEN = SEEN - 1,           /* not found since then; the next scan removes it */
    MIN_CAPACITY = 256,
};

static uint64_t mix(uint64_t x) /* the finaliser of splitmix64 */
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

/* Not 0: a cell whose term has ended must differ from a free one. */
static uint64_t hash_of(const char *path, const struct ps_identity *identity)
{
    const uint64_t numbers[] = {identity->size, (uint64_t)identity->mtime_ns,
                                (uint64_t)identity->ctime_ns};
    uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */
    for (const char *c = path; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 0x100000001b3;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        hash = mix(hash ^ numbers[i]) + 0x9e3779b97f4a7c15;
    hash >>= TERM_BITS;
    return hash ? hash : 1;
}

/* ---- cells ------------------------------------------------------------------------------------
 */

/* The index where the search for a hash begins. */
static size_t home_of(const struct ps_known_files *files, uint64_t hash)
{
    return hash & (files->capacity - 1);
}

/* The cell of the hash, or the free cell for it. At least one cell is free. */
static uint64_t *cell_of(const struct ps_known_files *files, uint64_t hash)
{
    size_t i = home_of(files, hash);
    while (files->cells[i] && files->cells[i] >> TERM_BITS != hash)
        i = (i + 1) & (files->capacity - 1);
    return &files->cells[i];
}

/* Without memory the table does not change. */
static void resize(struct ps_known_files *files, size_t capacity)
{
    struct ps_known_files other = {.count = files->count, .capacity = capacity};
    other.cells = calloc(capacity, sizeof *other.cells);
    if (!other.cells)
        return;
    for (size_t i = 0; i < files->capacity; i++)
        if (files->cells[i])
            *cell_of(&other, files->cells[i] >> TERM_BITS) = files->cells[i];
    free(files->cells);
    *files = other;
}

/* Frees a cell, and moves following entries up that could not be found beyond the gap. */
static void remove_at(struct ps_known_files *files, size_t gap)
{
    const size_t mask = files->capacity - 1;
    for (size_t i = (gap + 1) & mask; files->cells[i]; i = (i + 1) & mask) {
        const size_t home = home_of(files, files->cells[i] >> TERM_BITS);
        if (((i - home) & mask) >= ((i - gap) & mask)) {
            files->cells[gap] = files->cells[i];
            gap = i;
        }
    }
    files->cells[gap] = 0;
    files->count--;
}

/* ---- files ------------------------------------------------------------------------------------
 */

void ps_known_files_add(struct ps_known_files *files, const char *path,
                        const struct ps_identity *identity, unsigned scans)
{
    if (8 * (files->count + 1) > 7 * files->capacity)
        resize(files, files->capacity ? 2 * files->capacity : MIN_CAPACITY);
    if (8 * (files->count + 1) > 7 * files->capacity)
        return;
    const uint64_t hash = hash_of(path, identity);
    uint64_t *cell = cell_of(files, hash);
    files->count += *cell == 0;
    *cell = hash << TERM_BITS | scans;
}

bool ps_known_files_has(struct ps_known_files *files, const char *path,
                        const struct ps_identity *identity)
{
    if (!files->capacity)
        return false;
    uint64_t *cell = cell_of(files, hash_of(path, identity));
    if ((*cell & TERM) == UNSEEN)
        *cell |= SEEN;
    return *cell != 0;
}

void ps_known_files_begin_scan(struct ps_known_files *files)
{
    for (size_t i = 0; i < files->capacity; i++)
        if (files->cells[i])
            files->cells[i] -= (files->cells[i] & TERM) == UNSEEN ? UNSEEN : 1;
    for (size_t i = 0; i < files->capacity; i++)
        while (files->cells[i] && !(files->cells[i] & TERM))
            remove_at(files, i);
    size_t capacity = files->capacity;
    while (capacity > MIN_CAPACITY && files->count < capacity / 8)
        capacity /= 2;
    if (capacity < files->capacity)
        resize(files, capacity);
}

void ps_known_files_clear(struct ps_known_files *files)
{
    free(files->cells);
    *files = (struct ps_known_files){0};
}
