/* The words of a choice or list, in one text: "a|b|c". */
#include "config/internal.h"

#include <string.h>

int ps_config_find_word(const char *words, const char *word, size_t length)
{
    int number = 0;
    for (const char *at = words;; number++) {
        size_t here = strcspn(at, "|");
        if (here == length && memcmp(at, word, length) == 0)
            return number;
        if (!at[here])
            return -1;
        at += here + 1;
    }
}

char *ps_config_copy_word(const char *words, unsigned number)
{
    const char *at = words;
    for (; number; number--)
        at += strcspn(at, "|") + 1;
    return strndup(at, strcspn(at, "|"));
}
