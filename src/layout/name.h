/* A file name in its parts. */
#ifndef PS_LAYOUT_NAME_H
#define PS_LAYOUT_NAME_H

#include <stdbool.h>
#include <stddef.h>

enum { PS_MAX_NAME_PARTS = 32 };

/* The name without its extension, split at '_', '-', '.' and blanks. Borrows the path. */
struct ps_name {
    const char *path;
    size_t directory;      /* length of the part up to the last '/', inclusive */
    size_t stem;           /* length of the path without the extension */
    const char *extension; /* after the dot; "" if there is none */
    struct ps_name_part {
        const char *text;
        size_t length;
    } parts[PS_MAX_NAME_PARTS]; /* the last ones, if there are more */
    size_t count;
};

void ps_name_split(const char *path, struct ps_name *ret_name);

/* True if part `i`, counted from the end if negative, is one of the `words`, separated by blanks.
 * Ignores case, except for a word with a capital letter. */
bool ps_name_part_is(const struct ps_name *name, int i, const char *words);

/* True if part `i`, counted from the end if negative, has `min` to `max` digits and nothing else.
 */
bool ps_name_part_is_number(const struct ps_name *name, int i, size_t min, size_t max);

/* True if the extension is one of the `words`; ignores case. */
bool ps_name_has_extension(const struct ps_name *name, const char *words);

/* True if a file exists at the first `length` characters of the path, followed by `suffix`. */
bool ps_name_exists(const struct ps_name *name, size_t length, const char *suffix);

#endif
