#include "base/memory_limit.h"

#include "base/text.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

static uint64_t lesser(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t machine_bytes(void)
{
    struct sysinfo info;
    return sysinfo(&info) == 0 ? (uint64_t)info.totalram * info.mem_unit : UINT64_MAX;
}

static uint64_t address_space_bytes(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY ? limit.rlim_cur
                                                                                : UINT64_MAX;
}

/* The number in a file; UINT64_MAX: no such file, or "max". */
static uint64_t read_limit(const char *directory, const char *name)
{
    char path[PATH_MAX + 64];
    char text[PS_NUMBER_TEXT + 8];
    uint64_t bytes;
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "re");
    if (!file)
        return UINT64_MAX;
    const bool read = fgets(text, sizeof text, file) != NULL;
    (void)fclose(file);
    if (!read)
        return UINT64_MAX;
    text[strcspn(text, "\n")] = '\0';
    return ps_text_to_uint(text, 0, UINT64_MAX, &bytes) ? bytes : UINT64_MAX;
}

/* The least limit of a group and the groups around it. A container can have its own group at the
 * top, and the path of it as the machine sees it: what does not exist is passed over. */
static uint64_t group_bytes(const char *mount, const char *group, const char *const *names)
{
    char directory[PATH_MAX];
    const size_t top = strlen(mount);
    uint64_t least = UINT64_MAX;
    if ((size_t)snprintf(directory, sizeof directory, "%s%s", mount, group) >= sizeof directory)
        return least;
    for (;;) {
        for (size_t i = 0; names[i]; i++)
            least = lesser(least, read_limit(directory, names[i]));
        char *slash = strrchr(directory, '/');
        if (strlen(directory) <= top || !slash || (size_t)(slash - directory) < top)
            return least;
        *slash = '\0';
    }
}

/* The limit by a line of /proc/self/cgroup: "0::/path", or "4:cpu,memory:/path" of version 1. */
static uint64_t limit_of_line(const char *root, char *line)
{
    static const char *const unified[] = {"memory.max", "memory.high", NULL};
    static const char *const version_1[] = {"memory.limit_in_bytes", NULL};
    char mount[PATH_MAX];
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':');
    char *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group)
        return UINT64_MAX;
    *controllers++ = '\0';
    *group++ = '\0';
    if (*controllers == '\0') {
        (void)snprintf(mount, sizeof mount, "%s/sys/fs/cgroup", root);
        return group_bytes(mount, group, unified);
    }
    char *rest;
    for (char *name = strtok_r(controllers, ",", &rest); name; name = strtok_r(NULL, ",", &rest))
        if (strcmp(name, "memory") == 0) {
            (void)snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/memory", root);
            return group_bytes(mount, group, version_1);
        }
    return UINT64_MAX;
}

static uint64_t control_group_bytes(const char *root)
{
    char path[PATH_MAX];
    char line[PATH_MAX];
    uint64_t least = UINT64_MAX;
    (void)snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        least = lesser(least, limit_of_line(root, line));
    if (file)
        (void)fclose(file);
    return least;
}

uint64_t ps_memory_limit(const char *root)
{
    return lesser(lesser(machine_bytes(), address_space_bytes()), control_group_bytes(root));
}
