/* Warnings of a result: their kinds (PS_WARNING_MAP in pickstream.h), codes and advice. */
#ifndef PS_BASE_WARNING_H
#define PS_BASE_WARNING_H

#include "pickstream.h"

/* "unreliable"; "" for PS_WARNING_NONE. */
const char *ps_warning_code(enum ps_warning kind);

/* What to do next; "" for PS_WARNING_NONE. */
const char *ps_warning_advice(enum ps_warning kind);

/* The kind with this code; PS_WARNING_NONE: unknown. */
enum ps_warning ps_warning_find(const char *code);

/* Adds a warning to a result; does nothing if it has PS_MAX_WARNINGS. */
__attribute__((format(printf, 3, 4))) void ps_warning_add(struct ps_result *result,
                                                          enum ps_warning kind, const char *format,
                                                          ...);

#endif
