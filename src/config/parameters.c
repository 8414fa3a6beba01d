/* The settings that decide about picks, as a hash. */
#include "config/internal.h"
#include "base/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool decides_about_picks(const struct config_key *key)
{
    return strcmp(key->section, "picker") == 0 ||
           (strcmp(key->section, "input") == 0 && strcmp(key->name, "movies") == 0);
}

/* FNV-1a, 64 bits; includes the terminating 0. */
static uint64_t hash(uint64_t state, const char *text)
{
    do {
        state = (state ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    } while (*text++);
    return state;
}

int ps_config_parameters(const struct ps_config *config, char ret_text[PS_PARAMETERS_TEXT],
                         struct ps_error *error)
{
    uint64_t state = UINT64_C(0xcbf29ce484222325);
    for (const struct config_key *key = ps_config_keys; key->name; key++) {
        char path[100];
        if (!decides_about_picks(key))
            continue;
        char *value = ps_config_format(key, config);
        if (!value)
            return ps_fail_memory(error, 64, "a value of the configuration");
        (void)snprintf(path, sizeof path, "%s.%s", key->section, key->name);
        state = hash(hash(state, path), value);
        free(value);
    }
    (void)snprintf(ret_text, PS_PARAMETERS_TEXT, "%016" PRIx64, state);
    return 0;
}
