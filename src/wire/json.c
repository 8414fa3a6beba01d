#include "wire/json.h"

#include "base/error.h"

#include <stdlib.h>

static _Thread_local bool ran_out;

static void *allocate(size_t size)
{
    void *memory = malloc(size);
    ran_out |= !memory;
    return memory;
}

/* Before anything else uses jansson. */
__attribute__((constructor)) static void set_up(void)
{
    json_set_alloc_funcs(allocate, free);
}

static int check(json_t *value, const char *wrong, json_t **ret_object, struct ps_error *error)
{
    if (!ran_out && json_is_object(value)) {
        *ret_object = value;
        return 0;
    }
    json_decref(value);
    return ran_out ? ps_fail_memory(error, sizeof(json_t), "a JSON object")
                   : ps_fail(error, PS_E_INPUT, "%s", wrong);
}

int ps_json_parse(const void *bytes, size_t size, const char *wrong, json_t **ret_object,
                  struct ps_error *error)
{
    ran_out = false;
    return check(json_loadb(bytes, size, JSON_REJECT_DUPLICATES, NULL), wrong, ret_object, error);
}

int ps_json_parse_next(FILE *stream, const char *wrong, json_t **ret_object, struct ps_error *error)
{
    ran_out = false;
    return check(json_loadf(stream, JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, NULL), wrong,
                 ret_object, error);
}

char *ps_json_dump(const json_t *value, size_t flags)
{
    ran_out = false;
    char *text = value ? json_dumps(value, flags) : NULL;
    if (!ran_out)
        return text;
    free(text);
    return NULL;
}
