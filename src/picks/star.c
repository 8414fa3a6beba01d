#include "picks/star.h"

#include "base/error.h"

#include <string.h>
#include <strings.h>

static const char blanks[] = " \t";
static const char spaces[] = " \t\v\f"; /* blanks of other readers */

/* Splits the line into words, in place. Words beyond PS_STAR_COLUMNS are only counted. A quoted
 * word ends at a quote that is followed by a blank; '#' begins a comment. */
static int split(struct ps_star *star, struct ps_error *error)
{
    char *at = star->lines.text;
    star->word_count = 0;
    star->quoted = *(at + strspn(at, blanks)) == '"' || *(at + strspn(at, blanks)) == '\'';
    for (;;) {
        at += strspn(at, blanks);
        if (!*at || *at == '#')
            return 0;
        char *word = at;
        if (*at == '"' || *at == '\'') {
            char quote = *at;
            word = ++at;
            while (*at && !(*at == quote && (!at[1] || strchr(blanks, at[1]))))
                at++;
            if (!*at)
                return ps_lines_fail(&star->lines, error, "expected the other %c", quote);
        } else {
            at += strcspn(at, blanks);
        }
        if (star->word_count < PS_STAR_COLUMNS)
            star->words[star->word_count] = word;
        star->word_count++;
        if (!*at)
            return 0;
        *at++ = '\0';
    }
}

static int add_label(struct ps_star *star, struct ps_error *error)
{
    const char *label = star->words[0];
    if (star->label_count == PS_STAR_COLUMNS || strlen(label) >= PS_STAR_LABEL)
        return ps_lines_fail(&star->lines, error,
                             "expected at most %d labels of at most %d characters", PS_STAR_COLUMNS,
                             PS_STAR_LABEL - 1);
    (void)snprintf(star->labels[star->label_count++], PS_STAR_LABEL, "%s", label);
    return 0;
}

/* Adds "_label value". RELION ignores further words, too. */
static int add_pair(struct ps_star *star, struct ps_error *error)
{
    if (star->word_count < 2)
        return ps_lines_fail(&star->lines, error, "expected a value for %.60s", star->words[0]);
    size_t size = strlen(star->words[1]) + 1;
    if (star->value_bytes + size > sizeof star->values)
        return ps_lines_fail(&star->lines, error, "expected values of at most %zu bytes",
                             sizeof star->values);
    memcpy(star->values + star->value_bytes, star->words[1], size);
    star->value_bytes += size;
    return add_label(star, error);
}

/* Reads the next line, unless the current one is still unused. */
static int fetch(struct ps_star *star, struct ps_error *error)
{
    if (star->again || star->ended) {
        star->again = false;
        return 0;
    }
    int found = ps_lines_next(&star->lines, error);
    if (found < 0)
        return found;
    star->ended = found == 0;
    star->word_count = 0;
    return star->ended ? 0 : split(star, error);
}

static bool is_keyword(const struct ps_star *star, const char *keyword)
{
    return !star->ended && !star->quoted && strcmp(star->words[0], keyword) == 0;
}

static bool is_block(const struct ps_star *star)
{
    return !star->ended && !star->quoted && strncmp(star->words[0], "data_", 5) == 0;
}

static bool is_label(const struct ps_star *star)
{
    return !star->ended && !star->quoted && star->words[0][0] == '_';
}

/* The functions below handle a line in one state, or the end of the file. Each returns an event, or
 * PS_STAR_END if the next line is needed. */

static int take_label(struct ps_star *star, struct ps_error *error)
{
    if (is_label(star))
        return add_label(star, error);
    if (star->label_count == 0)
        return ps_lines_fail(&star->lines, error, "expected a label behind loop_");
    star->state = PS_STAR_ROWS;
    star->again = star->found = true;
    return PS_STAR_TABLE;
}

static int take_pair(struct ps_star *star, struct ps_error *error)
{
    if (is_label(star))
        return add_pair(star, error);
    star->loop_follows = is_keyword(star, "loop_");
    if (!star->ended && !is_block(star) && !star->loop_follows)
        return PS_STAR_END;
    star->state = PS_STAR_PAIRS_ROW;
    star->found = true;
    return PS_STAR_TABLE;
}

static int take_other(struct ps_star *star, struct ps_error *error)
{
    bool inside = star->state != PS_STAR_BEFORE;
    if (is_block(star)) {
        star->state = PS_STAR_OUTSIDE;
    } else if (inside && is_keyword(star, "loop_")) {
        star->state = PS_STAR_LABELS;
        star->label_count = 0;
    } else if (inside && is_label(star)) {
        star->state = PS_STAR_PAIRS;
        star->label_count = star->value_bytes = 0;
        return add_pair(star, error);
    } else if (star->state == PS_STAR_ROWS) {
        if (star->word_count == star->label_count)
            return PS_STAR_ROW;
        return ps_lines_fail(&star->lines, error, "expected %zu words, as there are labels",
                             star->label_count);
    } else if (!star->stray) {
        star->stray = star->lines.number;
    }
    return PS_STAR_END;
}

static int take(struct ps_star *star, struct ps_error *error)
{
    switch (star->state) {
    case PS_STAR_LABELS:
        return take_label(star, error);
    case PS_STAR_PAIRS:
        return take_pair(star, error);
    default:
        return star->ended ? PS_STAR_END : take_other(star, error);
    }
}

/* The end of the file: correct if there was a table, or nothing at all. */
static int finish(struct ps_star *star, struct ps_error *error)
{
    if (star->found || !star->stray)
        return PS_STAR_END;
    star->lines.number = star->stray;
    return ps_lines_fail(&star->lines, error, "expected data_, then loop_ or a label: a STAR file");
}

static int pairs_row(struct ps_star *star)
{
    char *at = star->values;
    for (size_t i = 0; i < star->label_count; i++) {
        star->words[i] = at;
        at += strlen(at) + 1;
    }
    star->word_count = star->label_count;
    star->state = star->loop_follows ? PS_STAR_LOOP_READ : PS_STAR_OUTSIDE;
    return PS_STAR_ROW;
}

int ps_star_next(struct ps_star *star, struct ps_error *error)
{
    if (star->state == PS_STAR_PAIRS_ROW)
        return pairs_row(star);
    if (star->state == PS_STAR_LOOP_READ) {
        star->state = PS_STAR_LABELS;
        star->label_count = 0;
    }
    for (;;) {
        int event = fetch(star, error);
        if (event)
            return event;
        if (!star->ended && star->word_count == 0)
            continue;
        event = take(star, error);
        if (event != PS_STAR_END)
            return event;
        if (star->ended && !star->again)
            return finish(star, error);
    }
}

int ps_star_column(const struct ps_star *star, const char *label)
{
    for (size_t i = star->label_count; i-- > 0;) {
        if (strcmp(star->labels[i], label) == 0)
            return (int)i;
    }
    return -1;
}

/* True if quotes around the text end where they should: a quote within it ends the word if a blank
 * follows. */
static bool can_quote(const char *text, char quote)
{
    for (const char *at = text; (at = strchr(at, quote)) != NULL; at++) {
        if (!at[1] || strchr(spaces, at[1]))
            return false;
    }
    return true;
}

/* Finds the quote that a word needs; 0: none. Words are written without quotes if possible, because
 * RELION 3.1 takes quotes as a part of the word. A quote that is not in the text is preferred:
 * simple readers end the word at the next one. */
static int quote_for(const char *text, char *ret_quote, struct ps_error *error)
{
    static const char quotes[] = "\"'";
    *ret_quote = '\0';
    if (strpbrk(text, "\r\n"))
        return ps_fail(error, PS_E_INPUT, "%.300s: a STAR file cannot hold this name: a line end",
                       text);
    bool plain = *text && !strpbrk(text, spaces) && !strchr("#'\"_;$[]", *text) &&
                 strncasecmp(text, "data_", 5) != 0 && strncasecmp(text, "loop_", 5) != 0;
    for (int i = 0; i < 2 && !plain && !*ret_quote; i++)
        *ret_quote = !strchr(text, quotes[i]) ? quotes[i] : '\0';
    for (int i = 0; i < 2 && !plain && !*ret_quote; i++)
        *ret_quote = can_quote(text, quotes[i]) ? quotes[i] : '\0';
    return plain || *ret_quote
               ? 0
               : ps_fail(error, PS_E_INPUT,
                         "%.300s: a STAR file cannot hold this name: blanks, and both quotes",
                         text);
}

int ps_star_write_word(FILE *stream, const char *text, struct ps_error *error)
{
    char quote;
    int status = quote_for(text, &quote, error);
    if (status)
        return status;
    if (quote)
        (void)fprintf(stream, "%c%s%c", quote, text, quote);
    else
        (void)fputs(text, stream);
    return 0;
}

int ps_star_check_word(const char *text, struct ps_error *error)
{
    char quote;
    return quote_for(text, &quote, error);
}
