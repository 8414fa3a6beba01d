#include "cli/left_out.h"

#include "base/error.h"
#include "cli/print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int ps_left_out_add(struct ps_left_out_list *list, const char *path, enum ps_rule rule,
                    const char *version, struct ps_error *error)
{
    if ((list->count & (list->count - 1)) == 0) { /* full: 0, or a power of 2 */
        const size_t capacity = list->count ? 2 * list->count : 1;
        struct ps_left_out *items = realloc(list->items, capacity * sizeof *items);
        if (!items)
            return ps_fail_memory(error, capacity * sizeof *items, "the list of files");
        list->items = items;
    }
    struct ps_left_out item = {.path = strdup(path), .rule = rule};
    item.version = version ? strdup(version) : NULL;
    if (!item.path || (version && !item.version)) {
        free(item.path);
        free(item.version);
        return ps_fail_memory(error, strlen(path), "a path");
    }
    list->items[list->count++] = item;
    list->counts.of[rule]++;
    return 0;
}

void ps_left_out_done(struct ps_left_out_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].path);
        free(list->items[i].version);
    }
    free(list->items);
    *list = (struct ps_left_out_list){0};
}

void ps_left_out_print_files(const struct ps_left_out_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct ps_left_out *item = &list->items[i];
        ps_say("pickstream: %s: left out (%s%s%s)", item->path, ps_rule_key(item->rule),
               item->version ? ": " : "", item->version ? item->version : "");
    }
}

const char *ps_left_out_text(const struct ps_left_out_list *list, char text[PS_LEFT_OUT_TEXT])
{
    static const char lead[] = "; left out: ";
    const size_t length = sizeof lead - 1;
    memcpy(text, lead, length);
    if (!ps_rule_counts_text(&list->counts, text + length, PS_LEFT_OUT_TEXT - length))
        *text = '\0';
    return text;
}

void ps_left_out_print_counts(const struct ps_left_out_list *list)
{
    char text[PS_LEFT_OUT_TEXT];
    if (ps_rule_counts_text(&list->counts, text, sizeof text))
        ps_say("pickstream: left out: %s (--list -v names them)", text);
}

void ps_left_out_print_named(const struct ps_left_out_list *list)
{
    char text[PS_LEFT_OUT_TEXT];
    if (ps_rule_counts_text(&list->named, text, sizeof text))
        ps_say("pickstream: taken because they were named, although by their names they "
               "are: %s; a directory instead of its files leaves them out",
               text);
}

void ps_left_out_print_empty(const char *operand, const struct ps_rule_counts *counts)
{
    char text[PS_LEFT_OUT_TEXT];
    if (ps_rule_counts_text(counts, text, sizeof text))
        ps_say("pickstream: %s: no micrographs in it (left out: %s; input.layout, "
               "input.exclude)",
               operand, text);
    else
        ps_say("pickstream: %s: no micrographs in it (input.include)", operand);
}
