/* Windows, references and buffers of the aspire profile: the arithmetic and checks that all
 * backends share. Sizes are in working pixels (backend.h). */
#ifndef PS_BACKEND_WINDOWS_H
#define PS_BACKEND_WINDOWS_H

#include "backend/backend.h"

/* PS_E_BUG: a window of `query` does not fit, or its side is odd. */
int ps_windows_check_query(const struct ps_slot *slot, int query, struct ps_error *error);
/* Sets the size of the windows, and their numbers, in the slot. */
void ps_windows_set_query(struct ps_slot *slot, int query);
/* Containers per side of the image. PS_E_BUG: `container` does not fit, or holds no window. */
int ps_windows_check_container(const struct ps_slot *slot, int container, int *ret_per_side,
                               struct ps_error *error);
/* PS_E_BUG: a window, given as (row, column), lies outside. */
int ps_windows_check_origins(const struct ps_slot *slot, const int (*windows)[2], size_t count,
                             struct ps_error *error);
/* PS_E_BUG: the buffer has another size than `bytes`. */
int ps_windows_check_fetch(const struct ps_slot *slot, enum ps_buffer buffer, size_t bytes,
                           struct ps_error *error);

#endif
