#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* strtoll() and strtod() skip white space and accept hexadecimal, "inf" and "nan"; so only text
 * that begins like a decimal number is passed to them. */
static bool begins_decimal(const char *text, bool fraction)
{
    text += *text == '-' || *text == '+';
    if (fraction && *text == '.')
        text++;
    return is_digit(text[0]) && !(text[0] == '0' && (text[1] == 'x' || text[1] == 'X'));
}

bool ps_text_to_int(const char *text, int64_t min, int64_t max, int64_t *ret)
{
    if (!begins_decimal(text, false))
        return false;
    char *end;
    errno = 0;
    intmax_t value = strtoimax(text, &end, 10);
    if (errno || *end || value < min || value > max)
        return false;
    *ret = value;
    return true;
}

bool ps_text_to_uint(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
    /* strtoumax() converts "-1" to UINTMAX_MAX. */
    if (*text == '-' || !begins_decimal(text, false))
        return false;
    char *end;
    errno = 0;
    uintmax_t value = strtoumax(text, &end, 10);
    if (errno || *end || value < min || value > max)
        return false;
    *ret = value;
    return true;
}

bool ps_text_to_double(const char *text, double min, double max, double *ret, const char **ret_end)
{
    if (!begins_decimal(text, true))
        return false;
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c)
        return false;
    char *end;
    double value = strtod_l(text, &end, c);
    freelocale(c);
    /* In this form the test also refuses NaN. */
    if (!(value >= min && value <= max) || !isfinite(value) || (!ret_end && *end))
        return false;
    *ret = value;
    if (ret_end)
        *ret_end = end;
    return true;
}

const char *ps_text_from_double(double value, char ret_text[PS_NUMBER_TEXT])
{
    for (int digits = 6; digits <= 17; digits++) {
        (void)snprintf(ret_text, PS_NUMBER_TEXT, "%.*g", digits, value);
        if (strtod(ret_text, NULL) == value)
            break;
    }
    return ret_text;
}

const char *ps_text_from_float(float value, char ret_text[PS_NUMBER_TEXT])
{
    for (int digits = 6; digits <= 9; digits++) {
        (void)snprintf(ret_text, PS_NUMBER_TEXT, "%.*g", digits, (double)value);
        if (strtof(ret_text, NULL) == value)
            break;
    }
    return ret_text;
}

uint64_t ps_text_number_between(const char *text, const char *prefix, const char *ending)
{
    char digits[24];
    uint64_t number;
    size_t before = strlen(prefix), behind = strlen(ending), length = strlen(text);
    if (length <= before + behind || length - before - behind >= sizeof digits ||
        strncmp(text, prefix, before) != 0 || strcmp(text + length - behind, ending) != 0)
        return 0;
    (void)snprintf(digits, sizeof digits, "%.*s", (int)(length - before - behind), text + before);
    return ps_text_to_uint(digits, 1, INT64_MAX, &number) ? number : 0;
}

bool ps_text_ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length > tail && strcasecmp(text + length - tail, end) == 0;
}

/* Bytes of the well-formed character at `byte`, of `length` bytes that follow; 0: none. */
static size_t character_bytes(const unsigned char *byte, size_t length)
{
    unsigned first = byte[0];
    if (first < 0x80)
        return 1;
    size_t bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || bytes > length)
        return 0;
    /* Only the second byte has narrower bounds, after a few first ones. */
    unsigned low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    for (size_t i = 1; i < bytes; i++) {
        if (byte[i] < low || byte[i] > high)
            return 0;
        low = 0x80;
        high = 0xbf;
    }
    return bytes;
}

bool ps_text_is_utf8(const char *text, size_t length)
{
    const unsigned char *byte = (const unsigned char *)text;
    size_t bytes = 1;
    for (size_t i = 0; i < length && bytes; i += bytes)
        bytes = character_bytes(byte + i, length - i);
    return bytes;
}

/* Characters that control a terminal or the order of text: U+0080 to U+009F, U+061C, U+200E,
 * U+200F, U+2028 to U+202E, and U+2066 to U+2069, as UTF-8. */
static bool is_control(const unsigned char *at, size_t bytes)
{
    if (bytes == 1)
        return *at < ' ' || *at == 127;
    if (bytes == 2)
        return (at[0] == 0xc2 && at[1] < 0xa0) || (at[0] == 0xd8 && at[1] == 0x9c);
    if (bytes != 3 || at[0] != 0xe2)
        return false;
    return (at[1] == 0x80 &&
            (at[2] == 0x8e || at[2] == 0x8f || (at[2] >= 0xa8 && at[2] <= 0xae))) ||
           (at[1] == 0x81 && at[2] >= 0xa6 && at[2] <= 0xa9);
}

size_t ps_text_character(const char *text, bool *ret_printable)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t bytes = character_bytes(at, strnlen(text, 4));
    *ret_printable = bytes && !is_control(at, bytes);
    return bytes ? bytes : 1;
}

bool ps_text_is_printable(const char *text)
{
    bool printable = true;
    while (*text && printable)
        text += ps_text_character(text, &printable);
    return printable;
}

char *ps_text_printable(const char *text)
{
    char *result = malloc(4 * strlen(text) + 1);
    char *to = result;
    while (result && *text) {
        bool printable;
        for (size_t bytes = ps_text_character(text, &printable); bytes; bytes--, text++) {
            if (printable)
                *to++ = *text;
            else
                to += sprintf(to, "\\x%02x", (unsigned char)*text);
        }
    }
    if (result)
        *to = '\0';
    return result;
}

enum { MAX_WORD = 63 }; /* letters of a word that are compared: longer ones are not mistyped keys */

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edits between two words, two letters in the wrong order being one edit (optimal string
 * alignment distance); three rows of its table are kept. */
static size_t edits(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t rows[3][MAX_WORD + 1];
    for (size_t j = 0; j <= b_length; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            row[j] = smaller(above[j], row[j - 1]) + 1;
            row[j] = smaller(row[j], above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = smaller(row[j], rows[(i + 1) % 3][j - 2] + 1);
        }
    }
    return rows[a_length % 3][b_length];
}

void ps_suggestion_offer(struct ps_suggestion *suggestion, const char *candidate)
{
    size_t length = strlen(suggestion->word);
    size_t candidate_length = strlen(candidate);
    if (length > MAX_WORD || candidate_length > MAX_WORD || !length)
        return;
    size_t distance = edits(suggestion->word, length, candidate, candidate_length);
    /* If more than a third of the letters differ, a suggestion would mislead. */
    if (distance > 1 + length / 4 || distance >= candidate_length)
        return;
    if (!suggestion->nearest || distance < suggestion->distance) {
        suggestion->nearest = candidate;
        suggestion->distance = distance;
    }
}
