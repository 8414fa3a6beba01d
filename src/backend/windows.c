#include "backend/windows.h"

#include "base/error.h"

int ps_windows_check_query(const struct ps_slot *slot, int query, struct ps_error *error)
{
    if (query < 2 || query % 2 != 0 || query > slot->side)
        return ps_fail(error, PS_E_BUG, "window of %d px in an image of %d", query, slot->side);
    return 0;
}

void ps_windows_set_query(struct ps_slot *slot, int query)
{
    slot->query = query;
    slot->windows = slot->side - query + 1;
    slot->queries = slot->side / (query / 2) - 1;
}

int ps_windows_check_container(const struct ps_slot *slot, int container, int *ret_per_side,
                               struct ps_error *error)
{
    if (container <= slot->query || container > slot->side)
        return ps_fail(error, PS_E_BUG, "container of %d px in an image of %d, windows of %d",
                       container, slot->side, slot->query);
    *ret_per_side = slot->side / container;
    return 0;
}

int ps_windows_check_origins(const struct ps_slot *slot, const int (*windows)[2], size_t count,
                             struct ps_error *error)
{
    for (size_t i = 0; i < count; i++) {
        int row = windows[i][0];
        int column = windows[i][1];
        if (row < 0 || row >= slot->windows || column < 0 || column >= slot->windows)
            return ps_fail(error, PS_E_BUG, "window (%d, %d) lies outside", row, column);
    }
    return 0;
}

static size_t buffer_bytes(const struct ps_slot *slot, enum ps_buffer buffer)
{
    size_t image = (size_t)slot->side * (size_t)slot->side;
    size_t windows = (size_t)slot->windows * (size_t)slot->windows;
    size_t queries = (size_t)slot->queries * (size_t)slot->queries;
    size_t references = (size_t)slot->references * (size_t)slot->query * (size_t)slot->query;
    const size_t bytes[] = {
        [PS_BUFFER_PREPROCESSED] = image * sizeof(float),
        [PS_BUFFER_MEAN] = windows * sizeof(float),
        [PS_BUFFER_DEVIATION] = windows * sizeof(float),
        [PS_BUFFER_REFERENCES] = references * sizeof(float),
        [PS_BUFFER_SCORE] = queries * sizeof(int32_t),
        [PS_BUFFER_MASK] = windows,
    };
    return bytes[buffer];
}

int ps_windows_check_fetch(const struct ps_slot *slot, enum ps_buffer buffer, size_t bytes,
                           struct ps_error *error)
{
    size_t expected = buffer_bytes(slot, buffer);
    if (bytes != expected)
        return ps_fail(error, PS_E_BUG, "buffer %d has %zu bytes, not %zu", (int)buffer, expected,
                       bytes);
    return 0;
}
