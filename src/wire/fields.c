#include "wire/fields.h"

#include "base/error.h"

#include <math.h>
#include <string.h>
#include <time.h>

enum { MAX_NAME = 4096 };

void ps_reader_wrong(const struct ps_reader *reader, const char *key, const char *expected)
{
    if (*reader->status == 0)
        *reader->status =
            ps_fail(reader->error, PS_E_INPUT, "%s%s: expected %s", reader->where, key, expected);
}

const json_t *ps_reader_value(const struct ps_reader *reader, const char *key)
{
    const json_t *found = json_object_get(reader->object, key);
    return json_is_null(found) ? NULL : found;
}

struct ps_reader ps_reader_section(const struct ps_reader *root, const char *key, const char *where)
{
    struct ps_reader reader = *root;
    reader.object = ps_reader_value(root, key);
    reader.where = where;
    if (!json_is_object(reader.object))
        ps_reader_wrong(root, key, "an object");
    return reader;
}

int64_t ps_reader_integer(const struct ps_reader *reader, const char *key, int64_t min, int64_t max)
{
    const json_t *found = ps_reader_value(reader, key);
    json_int_t number = json_integer_value(found);
    if (json_is_integer(found) && number >= min && number <= max)
        return number;
    ps_reader_wrong(reader, key, "a whole number within its range");
    return min;
}

int64_t ps_reader_integer_or(const struct ps_reader *reader, const char *key, int64_t min,
                             int64_t max, int64_t fallback)
{
    return ps_reader_value(reader, key) ? ps_reader_integer(reader, key, min, max) : fallback;
}

double ps_reader_number_or(const struct ps_reader *reader, const char *key, double min,
                           double fallback)
{
    const json_t *found = ps_reader_value(reader, key);
    if (!found)
        return fallback;
    double number = json_number_value(found);
    if (json_is_number(found) && isfinite(number) && number >= min)
        return number;
    ps_reader_wrong(reader, key, "a number within its range");
    return fallback;
}

void ps_text_cut(const char *text, char *ret, size_t size)
{
    if (size == 0)
        return;
    size_t length = strnlen(text, size - 1);
    while (length && ((unsigned char)text[length] & 0xc0) == 0x80)
        length--;
    memcpy(ret, text, length);
    ret[length] = '\0';
}

void ps_reader_text(const struct ps_reader *reader, const char *key, char *ret, size_t size)
{
    const json_t *found = ps_reader_value(reader, key);
    if (found && !json_is_string(found))
        ps_reader_wrong(reader, key, "a text");
    ps_text_cut(json_is_string(found) ? json_string_value(found) : "", ret, size);
}

char *ps_reader_name(const struct ps_reader *reader, const char *key)
{
    const char *text = json_string_value(ps_reader_value(reader, key));
    if (!text || !*text || strlen(text) > MAX_NAME) {
        ps_reader_wrong(reader, key, "a name");
        return NULL;
    }
    char *copy = strdup(text);
    if (!copy && *reader->status == 0)
        *reader->status = ps_fail_memory(reader->error, strlen(text), "a name");
    return copy;
}

double ps_reader_time(const struct ps_reader *reader, const char *key)
{
    const json_t *found = ps_reader_value(reader, key);
    if (!found)
        return NAN;
    struct tm when = {0};
    const char *text = json_is_string(found) ? json_string_value(found) : "";
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &when);
    double fraction = 0, digit = 0.1;
    if (end && *end == '.') {
        for (end++; *end >= '0' && *end <= '9'; end++) {
            fraction += digit * (*end - '0');
            digit /= 10;
        }
    }
    if (end && strcmp(end, "Z") == 0)
        return (double)timegm(&when) + fraction;
    ps_reader_wrong(reader, key, "a time");
    return NAN;
}
