#include "journal/explain.h"

#include "base/error.h"

#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_USER = 128 };

static void user_name(uid_t user, char ret_name[MAX_USER])
{
    struct passwd entry, *found = NULL;
    char buffer[4096];
    if (getpwuid_r(user, &entry, buffer, sizeof buffer, &found) == 0 && found)
        (void)snprintf(ret_name, MAX_USER, "%s", found->pw_name);
    else
        (void)snprintf(ret_name, MAX_USER, "user %u", (unsigned)user);
}

void ps_sql_explain(const char *path, struct ps_error *error)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        char name[PATH_MAX], owner[MAX_USER], self[MAX_USER];
        struct stat info;
        (void)snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        if (stat(name, &info) != 0 || faccessat(AT_FDCWD, name, R_OK | W_OK, AT_EACCESS) == 0)
            continue;
        user_name(info.st_uid, owner);
        user_name(geteuid(), self);
        (void)ps_fail(error, PS_E_SYSTEM,
                      "%s: cannot be written: it belongs to %s and has mode %04o, and this process "
                      "runs as %s",
                      name, owner, (unsigned)info.st_mode & 07777, self);
        return;
    }
}
