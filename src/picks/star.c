#include "picks/star.h"

#include "base/error.h"

#include <string.h>

static const char blanks[] = " \t";

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

/* Handles a line that is neither blank nor among labels. Returns an event; PS_STAR_END: none. */
static int take(struct ps_star *star, struct ps_error *error)
{
    const char *word = star->words[0];
    bool bare = !star->quoted;
    if (bare && strcmp(word, "loop_") == 0) {
        star->state = PS_STAR_LABELS;
        star->label_count = 0;
    } else if (bare && (strncmp(word, "data_", 5) == 0 || *word == '_')) {
        star->state = PS_STAR_OUTSIDE;
    } else if (star->state == PS_STAR_OUTSIDE) {
        return ps_lines_fail(&star->lines, error, "expected data_, loop_ or a label: a STAR file");
    } else if (star->word_count != star->label_count) {
        return ps_lines_fail(&star->lines, error, "expected %zu words, as there are labels",
                             star->label_count);
    } else {
        return PS_STAR_ROW;
    }
    return PS_STAR_END;
}

int ps_star_next(struct ps_star *star, struct ps_error *error)
{
    for (;;) {
        int failed = fetch(star, error);
        if (failed)
            return failed;
        bool blank = !star->ended && star->word_count == 0;
        if (blank)
            continue;
        if (star->state == PS_STAR_LABELS) {
            if (!star->ended && !star->quoted && star->words[0][0] == '_') {
                failed = add_label(star, error);
                if (failed)
                    return failed;
                continue;
            }
            if (star->label_count == 0)
                return ps_lines_fail(&star->lines, error, "expected a label behind loop_");
            star->state = PS_STAR_ROWS;
            star->again = true;
            return PS_STAR_LOOP;
        }
        if (star->ended)
            return PS_STAR_END;
        int event = take(star, error);
        if (event != PS_STAR_END)
            return event;
    }
}

int ps_star_column(const struct ps_star *star, const char *label)
{
    for (size_t i = 0; i < star->label_count; i++) {
        if (strcmp(star->labels[i], label) == 0)
            return (int)i;
    }
    return -1;
}

int ps_star_write_word(FILE *stream, const char *text, struct ps_error *error)
{
    bool plain = *text && !strpbrk(text, " \t#'\"") && *text != '_' &&
                 strncmp(text, "data_", 5) != 0 && strcmp(text, "loop_") != 0;
    char quote = strchr(text, '"') ? '\'' : '"';
    if (strpbrk(text, "\r\n") || (!plain && strchr(text, quote)))
        return ps_fail(error, PS_E_INPUT, "%.300s: this name cannot stand in a STAR file", text);
    if (plain)
        (void)fputs(text, stream);
    else
        (void)fprintf(stream, "%c%s%c", quote, text, quote);
    return 0;
}
