/* Numbers from text and back, and "did you mean": for configuration, command line and output files.
 *
 * The whole text must be a number: "12x", "", " 7", "0x10" and "nan" are refused. Reading does not
 * depend on the locale, because a program that links the library can set one; writing does, but
 * pickstream itself never calls setlocale().
 */
#ifndef PS_BASE_TEXT_H
#define PS_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PS_NUMBER_TEXT = 32 }; /* bytes of any number as text, with its NUL */

/* Reads a decimal whole number in [min, max]. */
bool ps_text_to_int(const char *text, int64_t min, int64_t max, int64_t *ret);
bool ps_text_to_uint(const char *text, uint64_t min, uint64_t max, uint64_t *ret);

/* Reads a finite decimal number in [min, max]. If `ret_end` is not NULL, other text can follow the
 * number, and `*ret_end` points to it. */
bool ps_text_to_double(const char *text, double min, double max, double *ret, const char **ret_end);

/* Writes the shortest decimal text that reads back as the same number. Returns `ret_text`. */
const char *ps_text_from_double(double value, char ret_text[PS_NUMBER_TEXT]);
const char *ps_text_from_float(float value, char ret_text[PS_NUMBER_TEXT]);

/* True for well-formed UTF-8 (no overlong forms, no surrogates, nothing above U+10FFFF). */
bool ps_text_is_utf8(const char *text, size_t length);

/* Names and texts from outside are data: what a terminal, or the reader of a line, would take for
 * more is not printed. Returns the bytes of the character at `text`, which is not at its end.
 * `*ret_printable` is false for control characters (C0, DEL, C1), line ends, characters that change
 * the direction of text, and a byte that is not UTF-8. */
size_t ps_text_character(const char *text, bool *ret_printable);

/* True if all characters are printable. */
bool ps_text_is_printable(const char *text);

/* Copies text for a terminal: each byte of a character that is not printable becomes \xNN. To be
 * freed; NULL without memory. */
char *ps_text_printable(const char *text);

/* Returns the whole number, at least 1, between `prefix` and `ending`, as in "/preview/12.png"; 0
 * if the text has another form. */
uint64_t ps_text_number_between(const char *text, const char *prefix, const char *ending);

/* True if a text ends with `ending` and is longer; ignores case. */
bool ps_text_ends_with(const char *text, const char *end);

/* Finds the known word nearest to a mistyped one. Start with {.word = ...} and offer every known
 * word; `nearest` stays NULL if none is near enough. */
struct ps_suggestion {
    const char *word;
    const char *nearest; /* one of the offered words */
    size_t distance;     /* letters to insert, delete, replace, or swap with the next */
};
void ps_suggestion_offer(struct ps_suggestion *suggestion, const char *candidate);

#endif
