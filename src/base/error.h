/* Errors: set once, where they happen, and passed up unchanged. */
#ifndef PS_BASE_ERROR_H
#define PS_BASE_ERROR_H

#include "pickstream.h"

/* Sets code and message of `error` (can be NULL) and returns the code. What is not printable in the
 * message, as in names that it quotes, becomes \xNN (base/text.h). The message of PS_E_BUG ends
 * with the source file and line. These are macros so that a static analyser that sees only one file
 * knows that the result is not 0. */
#define ps_fail(error, code, ...)      (ps_error_set(error, code, __VA_ARGS__), (int)(code))
#define ps_error_set(error, code, ...) ps_error_set_at(error, code, __FILE__, __LINE__, __VA_ARGS__)
__attribute__((format(printf, 5, 6))) void ps_error_set_at(struct ps_error *error,
                                                           enum ps_code code, const char *file,
                                                           int line, const char *format, ...);

/* The code for the errno of a call that was given something of the user's: PS_E_CONFIG if that is
 * at fault (a name, a permission, a value); PS_E_NOMEM, PS_E_SYSTEM: the machine is, and to try
 * again can help. */
enum ps_code ps_code_of_errno(int number);

/* Prepends "prefix: " to the message in `error` (not NULL), and returns its code. */
__attribute__((format(printf, 2, 3))) int ps_fail_prefix(struct ps_error *error, const char *format,
                                                         ...);

/* Returns the status of `expression` from the calling function unless it is 0. Only for functions
 * that have nothing to free at that point. */
#define PS_TRY(expression)                                                                         \
    do {                                                                                           \
        int try_status_ = (expression);                                                            \
        if (try_status_)                                                                           \
            return try_status_;                                                                    \
    } while (0)

/* Reports the failed allocation of `bytes` for `what`. */
#define ps_fail_memory(error, bytes, what)                                                         \
    ps_fail(error, PS_E_NOMEM, "no memory: %zu bytes for %s", (size_t)(bytes), what)

#endif
