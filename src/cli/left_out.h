/* The files that a search left out, each with its rule, and what is said about them. */
#ifndef PS_CLI_LEFT_OUT_H
#define PS_CLI_LEFT_OUT_H

#include "layout/layout.h"

struct ps_left_out {
    char *path;
    enum ps_rule rule;
    char *version; /* of PS_RULE_VERSION: the path of the one that is picked; else NULL */
};

/* Initialise to zeros. */
struct ps_left_out_list {
    struct ps_left_out *items;
    size_t count;
    struct ps_rule_counts counts;
    struct ps_rule_counts named; /* files on the command line that a rule would have left out */
};

/* Adds a file; `version` can be NULL. PS_E_NOMEM. */
int ps_left_out_add(struct ps_left_out_list *list, const char *path, enum ps_rule rule,
                    const char *version, struct ps_error *error);
void ps_left_out_done(struct ps_left_out_list *list);

/* Prints to stderr: each file with its rule; one line with the numbers, if there are any; and one
 * about files that were named on the command line although a rule would leave them out. */
void ps_left_out_print_files(const struct ps_left_out_list *list);
void ps_left_out_print_counts(const struct ps_left_out_list *list);
void ps_left_out_print_named(const struct ps_left_out_list *list);

enum { PS_LEFT_OUT_TEXT = 400 };

/* "; left out: 3 power spectra" for the end of a line; "" if nothing was left out. */
const char *ps_left_out_text(const struct ps_left_out_list *list, char text[PS_LEFT_OUT_TEXT]);

/* Prints that an operand has no micrographs, and what was left out below it. */
void ps_left_out_print_empty(const char *operand, const struct ps_rule_counts *counts);

#endif
