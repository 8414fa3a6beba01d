#include "layout/versions.h"

#include "layout/name.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* Best first within a family; each way of writing is an entry. */
static const struct version {
    const char *suffix; /* of the stem */
    int family;
    int rank; /* higher is better */
} versions[] = {
    {"_DW", 0, 4},   {"-DW", 0, 4},   {"_dw", 0, 4},     {"_doseweighted", 0, 4}, {"_DWS", 0, 3},
    {"-DWS", 0, 3},  {"_dws", 0, 3},  {"", 0, 2},        {"_noDW", 0, 1},         {"-noDW", 0, 1},
    {"_nodw", 0, 1}, {"_intg", 1, 2}, {"_forctf", 1, 1},
};
enum { VERSIONS = sizeof versions / sizeof *versions, PLAIN_RANK = 2 };

struct exposure {
    size_t base; /* length of the path without suffix and extension */
    const struct version *version;
    const char *extension; /* with its dot; "" if there is none */
};

static bool ends_with(const char *text, size_t length, const char *suffix)
{
    const size_t size = strlen(suffix);
    return length > size && strncmp(text + length - size, suffix, size) == 0;
}

static struct exposure exposure_of(const char *path)
{
    struct ps_name name;
    ps_name_split(path, &name);
    struct exposure exposure = {.extension = path + name.stem};
    const char *base = path + name.directory;
    const size_t length = name.stem - name.directory;
    for (size_t i = 0; i < VERSIONS; i++)
        if ((!*versions[i].suffix && !exposure.version) ||
            (*versions[i].suffix && ends_with(base, length, versions[i].suffix)))
            exposure.version = &versions[i];
    exposure.base = name.stem - strlen(exposure.version->suffix);
    return exposure;
}

static bool is_plain(const struct version *version)
{
    return !*version->suffix;
}

static bool make_path(const char *path, size_t base, const struct version *version,
                      const char *extension, char ret_path[PATH_MAX])
{
    const int length =
        snprintf(ret_path, PATH_MAX, "%.*s%s%s", (int)base, path, version->suffix, extension);
    return length > 0 && length < PATH_MAX && strcmp(ret_path, path) != 0;
}

static bool has_rules(const struct ps_config *config, const char *path)
{
    const char *slash = strrchr(path, '/');
    return ps_layout_has_rules(config, slash ? slash + 1 : path);
}

bool ps_version_better(const struct ps_config *config, const char *path, size_t below,
                       char ret_path[PATH_MAX])
{
    if (!has_rules(config, path))
        return false;
    const struct exposure exposure = exposure_of(path);
    const char *const extensions[] = {exposure.extension, ".mrc"};
    const bool is_mrc = strcasecmp(exposure.extension, ".mrc") == 0;
    const size_t count = is_plain(exposure.version) && !is_mrc ? 2 : 1;
    for (size_t i = 0; i < VERSIONS; i++) {
        if (versions[i].family != exposure.version->family ||
            versions[i].rank <= exposure.version->rank)
            continue;
        for (size_t j = 0; j < count; j++)
            if (make_path(path, exposure.base, &versions[i], extensions[j], ret_path) &&
                access(ret_path, F_OK) == 0 &&
                ps_layout_judge(config, ret_path, below) == PS_RULE_NONE)
                return true;
    }
    return false;
}

bool ps_version_each(const struct ps_config *config, const char *path,
                     bool (*each)(void *context, const char *path), void *context)
{
    if (!has_rules(config, path))
        return false;
    const struct exposure exposure = exposure_of(path);
    char other[PATH_MAX];
    for (size_t i = 0; i < VERSIONS; i++)
        if (versions[i].family == exposure.version->family &&
            versions[i].rank != exposure.version->rank &&
            make_path(path, exposure.base, &versions[i], exposure.extension, other) &&
            each(context, other))
            return true;
    return false;
}

enum ps_version_wait ps_version_wait(const struct ps_config *config, const char *path)
{
    if (!has_rules(config, path))
        return PS_VERSION_BEST;
    const struct exposure exposure = exposure_of(path);
    if (exposure.version->family == 1)
        return exposure.version->rank == 1 ? PS_VERSION_PARTNER : PS_VERSION_BEST;
    if (exposure.version->rank < PLAIN_RANK || ends_with(path, exposure.base, "_patch_aligned") ||
        ends_with(path, exposure.base, "_rigid_aligned"))
        return exposure.version->rank > PLAIN_RANK ? PS_VERSION_BEST : PS_VERSION_PARTNER;
    return exposure.version->rank <= PLAIN_RANK + 1 ? PS_VERSION_PLAIN : PS_VERSION_BEST;
}
