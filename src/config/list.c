/* Parses and formats lists. */
#include "config/internal.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

void ps_config_clear_list(struct ps_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct ps_list){0};
}

static const char separators[] = ", \t";

/* Reads the item at *at, which is not a separator, into `item`, and moves *at behind it. A quoted
 * item can contain blanks and commas, and \" and \\ stand for " and \. False for quotes within an
 * item, a missing end quote, or an empty item. */
static bool read_item(const char **at, char *item)
{
    const char *from = *at;
    char *to = item;
    if (*from != '"') {
        size_t length = strcspn(from, separators);
        memcpy(item, from, length);
        item[length] = '\0';
        *at = from + length;
        /* In a file a word that begins with ';' would start a comment. */
        return *item != ';' && !strchr(item, '"');
    }
    for (from++; *from && *from != '"'; from++) {
        if (*from == '\\' && *++from != '"' && *from != '\\')
            return false;
        *to++ = *from;
    }
    *to = '\0';
    if (*from != '"' || to == item || (from[1] && !strchr(separators, from[1])))
        return false;
    *at = from + 1;
    return true;
}

int ps_config_parse_list(const struct config_key *key, const char *text, struct ps_list *field)
{
    struct ps_list list = {.items = calloc(strlen(text) / 2 + 1, sizeof *list.items)};
    char *item = malloc(strlen(text) + 1);
    int code = list.items && item ? 0 : PS_E_NOMEM;
    for (const char *at = text; code == 0 && *(at += strspn(at, separators));) {
        if (!read_item(&at, item) ||
            (key->words && ps_config_find_word(key->words, item, strlen(item)) < 0))
            code = PS_E_CONFIG;
        else if (!(list.items[list.count] = strdup(item)))
            code = PS_E_NOMEM;
        else
            list.count++;
    }
    if (code == 0 && (double)list.count < key->min)
        code = PS_E_CONFIG;
    free(item);
    if (code != 0) {
        ps_config_clear_list(&list);
        return code;
    }
    ps_config_clear_list(field);
    *field = list;
    return 0;
}

char *ps_config_quote_item(char *at, const char *item)
{
    if (!item[strcspn(item, ", \t\"=")] && !strchr(";#", *item))
        return stpcpy(at, item);
    *at++ = '"';
    for (; *item; item++) {
        if (*item == '"' || *item == '\\')
            *at++ = '\\';
        *at++ = *item;
    }
    return stpcpy(at, "\"");
}

char *ps_config_format_list(const struct ps_list *list, const char *separator)
{
    size_t length = 1;
    for (size_t i = 0; i < list->count; i++) /* every character escaped, and quotes */
        length += 2 * strlen(list->items[i]) + 2 + strlen(separator);
    char *text = malloc(length);
    if (!text)
        return NULL;
    char *at = text;
    *at = '\0';
    for (size_t i = 0; i < list->count; i++) {
        if (i)
            at = stpcpy(at, separator);
        at = ps_config_quote_item(at, list->items[i]);
    }
    return text;
}
