/* STAR files: tables with and without loop_, labels, quotes, comments; and words written so that
 * they are read back. */
#include "picks/star.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Reads a text to its end: "L" and the labels of each table, "R" and the words of each row; or the
 * message of the failure. To be freed. */
static char *events_of(const char *text)
{
    char *result = NULL;
    size_t size = 0;
    struct ps_star *star = calloc(1, sizeof *star);
    FILE *in = fmemopen((void *)text, strlen(text), "r"), *out = open_memstream(&result, &size);
    assert_non_null(star);
    assert_non_null(in);
    assert_non_null(out);
    star->lines.stream = in;
    star->lines.path = "x.star";
    struct ps_error error;
    int event;
    while ((event = ps_star_next(star, &error)) > 0) {
        bool table = event == PS_STAR_TABLE;
        size_t count = table ? star->label_count : star->word_count;
        (void)fputc(table ? 'L' : 'R', out);
        for (size_t i = 0; i < count; i++)
            (void)fprintf(out, "[%s]", table ? star->labels[i] : star->words[i]);
    }
    if (event < 0)
        (void)fprintf(out, "%s", error.message);
    (void)fclose(out);
    (void)fclose(in);
    free(star);
    return result;
}

static void loops_and_rows(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *events;
    } cases[] = {
        {"data_\nloop_\n_a #1\n_b #2\n1 2\n 3\t4 \n", "L[_a][_b]R[1][2]R[3][4]"},
        {"data_\r\nloop_\r\n_a\r\n1\r\n", "L[_a]R[1]"},
        {"data_\nloop_\n_a\n1", "L[_a]R[1]"},
        {"data_\nloop_\n_a\n", "L[_a]"},
        {"data_\nloop_\n_a", "L[_a]"},
        {"# head\n\ndata_x # more\n\n_pair 1\n\nloop_\n\n_a\n\n1\n\n2\n",
         "L[_pair]R[1]L[_a]R[1]R[2]"},
        {"data_a\nloop_\n_a\n1\ndata_b\nloop_\n_b\n2\nloop_\n_c\n3\n",
         "L[_a]R[1]L[_b]R[2]L[_c]R[3]"},
        {"data_\nloop_\n_a\n1\n_pair 7\n", "L[_a]R[1]L[_pair]R[7]"},
        {"data_\n_a 1\n\n_b 'two words' # c\n", "L[_a][_b]R[1][two words]"},
        {"data_x\n_a 1\n_b 2\ndata_y\n_a 3\n", "L[_a][_b]R[1][2]L[_a]R[3]"},
        {"data_\n_a 1 #1\n  _b 2 3\nstray\nloop_\n_c\n4", "L[_a][_b]R[1][2]L[_c]R[4]"},
        {"\xef\xbb\xbf"
         "data_\nloop_\n_a\n1\n",
         "L[_a]R[1]"},
        {"\xef\xbb\xbf", ""},
        {"version 3\ndata_\nloop_\n_a\n1\n", "L[_a]R[1]"},
        {"data_\n_a\n_b 2\n", "x.star:2: expected a value for _a"},
        {"data_\nloop_\n_a\n'data_ x'\n\"_b\"\n\"it's\"\n'#1'\n''\n",
         "L[_a]R[data_ x]R[_b]R[it's]R[#1]R[]"},
        {"data_\nloop_\n_a\nit's\n", "L[_a]R[it's]"},
        {"data_\nloop_\n_a\n_b\n'x' y#z\n", "L[_a][_b]R[x][y#z]"},
        {"\n", ""},
        {"words\n", "x.star:1: expected data_, then loop_ or a label: a STAR file"},
        {"\nloop_\n_a\n1\n", "x.star:2: expected data_, then loop_ or a label: a STAR file"},
        {"data_\n1 2\n", "x.star:2: expected data_, then loop_ or a label: a STAR file"},
        {"data_\nloop_\n_a\n1 2\n", "L[_a]x.star:4: expected 1 words, as there are labels"},
        {"data_\nloop_\n1\n", "x.star:3: expected a label behind loop_"},
        {"data_\nloop_\n", "x.star:3: expected a label behind loop_"},
        {"data_\nloop_\n_a\n'1\n", "L"},
        {"data_\nloop_\n_a\n\x1b[m\x7f 2\n",
         "L[_a]x.star:4: expected 1 words, as there are labels"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *events = events_of(cases[i].text);
        if (strcmp(cases[i].events, "L") == 0)
            assert_string_equal(events, "x.star:4: expected the other '");
        else
            assert_string_equal(events, cases[i].events);
        free(events);
    }
}

static void no_text(void **state)
{
    (void)state;
    char *events = events_of("data_");
    assert_string_equal(events, "");
    free(events);
    char *line = malloc(PS_LINE + 2);
    assert_non_null(line);
    memset(line, 'x', PS_LINE + 1);
    line[PS_LINE + 1] = '\0';
    events = events_of(line);
    assert_string_equal(events, "x.star:1: expected text, in lines of at most 65535 bytes");
    free(events);
    free(line);
}

/* The values of a table without loop_ have one buffer. */
static void too_many_values(void **state)
{
    (void)state;
    char *text = malloc(3 * PS_LINE), *at = text;
    assert_non_null(text);
    at = stpcpy(at, "data_\n");
    for (int i = 0; i < 2; i++) {
        at = stpcpy(at, "_a ");
        memset(at, 'x', PS_LINE / 2);
        at = stpcpy(at + PS_LINE / 2, "\n");
    }
    char *events = events_of(text);
    assert_string_equal(events, "x.star:3: expected values of at most 65536 bytes");
    free(events);
    free(text);
}

static void columns_by_label(void **state)
{
    (void)state;
    struct ps_star star = {.labels = {"_a", "_ab", "_c", "_c"}, .label_count = 4};
    assert_int_equal(ps_star_column(&star, "_a"), 0);
    assert_int_equal(ps_star_column(&star, "_ab"), 1);
    assert_int_equal(ps_star_column(&star, "_b"), -1);
    assert_int_equal(ps_star_column(&star, "_c"), 3); /* as RELION */
}

/* A value that is written as a word is read back unchanged, whatever its first character. */
static void words_are_read_back(void **state)
{
    (void)state;
    static const char *const words[] = {"plain",     "/a/b.mrc",    "with blank", "tab\there",
                                        "it's",      "\"quoted\"",  "#1",         "_label",
                                        "data_1/",   "loop_",       "",           "a#b",
                                        "'one'",     "caf\xc3\xa9", "b5'_\"wt\"", "it's \"both\"",
                                        "a 'b\"c d", "form\ffeed",  ";a",         "$a"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        char *text = NULL;
        size_t size = 0;
        struct ps_error error;
        FILE *out = open_memstream(&text, &size);
        assert_non_null(out);
        (void)fputs("data_\nloop_\n_a\n_b\n", out);
        assert_int_equal(ps_star_write_word(out, words[i], &error), 0);
        (void)fputs(" 7\n", out);
        (void)fclose(out);
        char *events = events_of(text), expected[64];
        (void)snprintf(expected, sizeof expected, "L[_a][_b]R[%s][7]", words[i]);
        assert_string_equal(events, expected);
        free(events);
        free(text);
    }
}

static void words_that_cannot_be(void **state)
{
    (void)state;
    static const char *const words[] = {"line\nbreak", "re\rturn", "a' \"b\" c"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct ps_error error;
        FILE *out = fopen("/dev/null", "we");
        assert_non_null(out);
        assert_int_equal(ps_star_write_word(out, words[i], &error), PS_E_INPUT);
        (void)fclose(out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loops_and_rows),       cmocka_unit_test(no_text),
        cmocka_unit_test(columns_by_label),     cmocka_unit_test(words_are_read_back),
        cmocka_unit_test(words_that_cannot_be), cmocka_unit_test(too_many_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
