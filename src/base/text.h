/* Numbers from text and back, and "did you mean": for configuration, command line and output files.
 *
 * A number is read whole or not at all: "12x", "", " 7", "0x10" and "nan" are refused, never read
 * as far as they go. Reading does not depend on the locale, for a program that links the library
 * may have set one; writing does, and pickstream itself never calls setlocale().
 */
#ifndef PS_BASE_TEXT_H
#define PS_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PS_NUMBER_TEXT = 32 }; /* bytes that hold any number as text */

/* Decimal whole number in [min, max]. */
bool ps_text_to_int(const char *text, int64_t min, int64_t max, int64_t *ret);
bool ps_text_to_uint(const char *text, uint64_t min, uint64_t max, uint64_t *ret);

/* Decimal number in [min, max], finite. With `ret_end` text may follow the number: it is left to
 * the caller; without, nothing may. */
bool ps_text_to_double(const char *text, double min, double max, double *ret, const char **ret_end);

/* The shortest decimal text that reads back as the same number. Returns `ret_text`. */
const char *ps_text_from_double(double value, char ret_text[PS_NUMBER_TEXT]);
const char *ps_text_from_float(float value, char ret_text[PS_NUMBER_TEXT]);

/* True for well-formed UTF-8 (no overlong forms, no surrogates, nothing above U+10FFFF). */
bool ps_text_is_utf8(const char *text, size_t length);

/* The whole number from 1 on that stands between `prefix` and `ending`, as in "/preview/12.png"; 0:
 * the text is something else. */
uint64_t ps_text_number_between(const char *text, const char *prefix, const char *ending);

/* Whether a text ends so, and is longer; upper and lower case are the same. */
bool ps_text_ends_with(const char *text, const char *end);

/* The known word that is nearest to a mistyped one. Start with {.word = ...}, offer every known
 * word; `nearest` stays NULL while none is near enough to be what was meant. */
struct ps_suggestion {
    const char *word;
    const char *nearest; /* one of those offered */
    size_t distance;     /* letters to insert, delete, replace, or swap with the next */
};
void ps_suggestion_offer(struct ps_suggestion *suggestion, const char *candidate);

#endif
