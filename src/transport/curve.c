#include "transport/curve.h"

#include "base/error.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zmq.h>

static const char blanks[] = " \t\r\n";

static bool is_comment(const char *text)
{
    return *text == '\0' || (*text == '#' && (text[1] == '\0' || strchr(blanks, text[1])));
}

/* Finds the key in a line; NULL if the line is empty or a comment. PS_E_CONFIG: anything else. */
static int parse_line(char *line, const char **ret_key, struct ps_error *error)
{
    char *text = line + strspn(line, blanks);
    *ret_key = NULL;
    if (is_comment(text))
        return 0;
    size_t length = strcspn(text, blanks);
    const char *rest = text + length + strspn(text + length, blanks);
    uint8_t bytes[PS_CURVE_BYTES];
    text[length] = '\0';
    if (length != PS_CURVE_TEXT - 1 || !is_comment(rest) || !zmq_z85_decode(bytes, text))
        return ps_fail(error, PS_E_CONFIG,
                       "not a key: expected 40 characters of Z85, as `pickstream keygen` writes");
    *ret_key = text;
    return 0;
}

/* Calls `take` for every key of a file; a result other than 0 ends the loop. */
static int each_key(const char *path,
                    int (*take)(void *context, const char *key, struct ps_error *error),
                    void *context, struct ps_error *error)
{
    struct ps_error reason = {0};
    FILE *stream = fopen(path, "re");
    if (!stream)
        return ps_fail(error, ps_code_of_errno(errno), "%s: %s", path, strerror(errno));
    char *line = NULL;
    size_t size = 0;
    int number = 0;
    int status = 0;
    while (status == 0 && getline(&line, &size, stream) > 0) {
        const char *key;
        number++;
        status = parse_line(line, &key, &reason);
        if (status == 0 && key)
            status = take(context, key, &reason);
    }
    if (status)
        status = ps_fail(error, reason.code, "%s:%d: %s", path, number, reason.message);
    else if (!feof(stream)) /* getline() reports a lack of memory only by errno */
        status = ps_fail(error, ps_code_of_errno(errno), "%s: %s", path, strerror(errno));
    if (line)
        explicit_bzero(line, size);
    free(line);
    (void)fclose(stream);
    return status;
}

/* ---- one key ----------------------------------------------------------------------------------
 */

static int take_only(void *context, const char *key, struct ps_error *error)
{
    char *only = context;
    if (*only)
        return ps_fail(error, PS_E_CONFIG, "a second key, where one is expected");
    (void)snprintf(only, PS_CURVE_TEXT, "%s", key);
    return 0;
}

int ps_curve_read_key(const char *path, char ret_key[PS_CURVE_TEXT], struct ps_error *error)
{
    char key[PS_CURVE_TEXT] = "";
    int status = each_key(path, take_only, key, error);
    if (status == 0 && !*key)
        status = ps_fail(error, PS_E_CONFIG, "%s: no key in it", path);
    if (status == 0)
        memcpy(ret_key, key, sizeof key);
    explicit_bzero(key, sizeof key);
    return status;
}

/* ---- many keys --------------------------------------------------------------------------------
 */

static int take_one_more(void *context, const char *key, struct ps_error *error)
{
    struct ps_curve_keys *keys = context;
    void *items = reallocarray(keys->items, keys->count + 1, sizeof *keys->items);
    if (!items)
        return ps_fail_memory(error, (keys->count + 1) * sizeof *keys->items, "keys");
    keys->items = items;
    (void)zmq_z85_decode(keys->items[keys->count++], key); /* parse_line() has checked it */
    return 0;
}

static int read_directory(const char *path, DIR *directory, struct ps_curve_keys *keys,
                          struct ps_error *error)
{
    const struct dirent *entry;
    int status = 0;
    while (status == 0 && (errno = 0, entry = readdir(directory)) != NULL) {
        char *file;
        if (entry->d_name[0] == '.')
            continue;
        if (asprintf(&file, "%s/%s", path, entry->d_name) < 0)
            return ps_fail_memory(error, strlen(path), "a path");
        struct stat info;
        if (stat(file, &info) != 0 || !S_ISDIR(info.st_mode))
            status = each_key(file, take_one_more, keys, error);
        free(file);
    }
    if (status == 0 && errno)
        status = ps_fail(error, ps_code_of_errno(errno), "%s: %s", path, strerror(errno));
    return status;
}

int ps_curve_read_keys(const char *path, struct ps_curve_keys *ret_keys, struct ps_error *error)
{
    struct ps_curve_keys keys = {0};
    int status;
    DIR *directory = opendir(path);
    if (directory) {
        status = read_directory(path, directory, &keys, error);
        (void)closedir(directory);
    } else if (errno == ENOTDIR) {
        status = each_key(path, take_one_more, &keys, error);
    } else {
        status = ps_fail(error, ps_code_of_errno(errno), "%s: %s", path, strerror(errno));
    }
    if (status)
        ps_curve_keys_done(&keys);
    else
        *ret_keys = keys;
    return status;
}

void ps_curve_keys_done(struct ps_curve_keys *keys)
{
    free(keys->items);
    *keys = (struct ps_curve_keys){0};
}

bool ps_curve_keys_have(const struct ps_curve_keys *keys, const uint8_t key[PS_CURVE_BYTES])
{
    for (size_t i = 0; i < keys->count; i++) {
        if (memcmp(keys->items[i], key, PS_CURVE_BYTES) == 0)
            return true;
    }
    return false;
}
