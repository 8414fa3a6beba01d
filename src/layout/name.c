#include "layout/name.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static const char separators[] = "_-. ";

void ps_name_split(const char *path, struct ps_name *ret_name)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    const char *dot = strrchr(base, '.');
    const char *end = dot && dot > base ? dot : base + strlen(base);
    *ret_name = (struct ps_name){
        .path = path,
        .directory = (size_t)(base - path),
        .stem = (size_t)(end - path),
        .extension = *end ? end + 1 : end,
    };
    for (const char *at = base; at < end;) {
        size_t length = strcspn(at, separators);
        if (length > (size_t)(end - at))
            length = (size_t)(end - at);
        if (length > 0 && ret_name->count == PS_MAX_NAME_PARTS)
            memmove(ret_name->parts, ret_name->parts + 1,
                    --ret_name->count * sizeof *ret_name->parts);
        if (length > 0)
            ret_name->parts[ret_name->count++] = (struct ps_name_part){at, length};
        at += length + 1;
    }
}

static const struct ps_name_part *part_at(const struct ps_name *name, int i)
{
    const int at = i < 0 ? (int)name->count + i : i;
    return at >= 0 && at < (int)name->count ? &name->parts[at] : NULL;
}

static bool is_word(const char *text, size_t length, const char *words)
{
    for (const char *word = words; *word;) {
        const size_t size = strcspn(word, " ");
        bool exact = false;
        for (size_t i = 0; i < size; i++)
            exact |= isupper((unsigned char)word[i]) != 0;
        if (size == length &&
            (exact ? strncmp(text, word, size) : strncasecmp(text, word, size)) == 0)
            return true;
        word += size + (word[size] == ' ');
    }
    return false;
}

bool ps_name_part_is(const struct ps_name *name, int i, const char *words)
{
    const struct ps_name_part *part = part_at(name, i);
    return part && is_word(part->text, part->length, words);
}

bool ps_name_part_is_number(const struct ps_name *name, int i, size_t min, size_t max)
{
    const struct ps_name_part *part = part_at(name, i);
    if (!part || part->length < min || part->length > max)
        return false;
    for (size_t j = 0; j < part->length; j++)
        if (!isdigit((unsigned char)part->text[j]))
            return false;
    return true;
}

bool ps_name_has_extension(const struct ps_name *name, const char *words)
{
    return is_word(name->extension, strlen(name->extension), words);
}

bool ps_name_exists(const struct ps_name *name, size_t length, const char *suffix)
{
    char path[PATH_MAX];
    const int size = snprintf(path, sizeof path, "%.*s%s", (int)length, name->path, suffix);
    return size > 0 && (size_t)size < sizeof path && access(path, F_OK) == 0;
}
