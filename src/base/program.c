#include "base/program.h"

#include "base/clock.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const int64_t second_ns = 1000000000;

enum {
    LOOK_MS = 50,     /* between two looks whether it has ended */
    KILL_SECONDS = 2, /* from SIGTERM to SIGKILL */
};

/* ---- the start --------------------------------------------------------------------------------
 */

/* A file in memory: the program can read it when it likes, and need not read it. */
static int open_input(const char *text)
{
    const size_t size = strlen(text);
    int file = memfd_create("input", MFD_CLOEXEC);
    for (size_t done = 0; file >= 0 && done < size;) {
        const ssize_t written = write(file, text + done, size - done);
        if (written < 0 && errno != EINTR) {
            (void)close(file);
            return -1;
        }
        done += written > 0 ? (size_t)written : 0;
    }
    if (file >= 0)
        (void)lseek(file, 0, SEEK_SET);
    return file;
}

static bool is_ours_alone(const char *variable)
{
    return strncmp(variable, "NOTIFY_SOCKET=", 14) == 0 || strncmp(variable, "WATCHDOG_", 9) == 0;
}

/* The variables for the program; the array is to be freed. NULL without memory. */
static char **make_environment(void)
{
    size_t count = 0, kept = 0;
    while (environ[count])
        count++;
    char **variables = calloc(count + 1, sizeof *variables);
    for (size_t i = 0; variables && i < count; i++) {
        if (!is_ours_alone(environ[i]))
            variables[kept++] = environ[i];
    }
    return variables;
}

/* Our threads block all signals, and the process ignores SIGPIPE; the program must not. */
static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    (void)posix_spawnattr_setsigmask(attributes, &none);
    (void)posix_spawnattr_setsigdefault(attributes, &all);
    (void)posix_spawnattr_setpgroup(attributes, 0);
    return posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                    POSIX_SPAWN_SETPGROUP);
}

/* Returns 0 or an errno. */
static int spawn(char **words, char **variables, int input, pid_t *ret_process)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int code = posix_spawn_file_actions_init(&actions);
    if (code)
        return code;
    code = posix_spawnattr_init(&attributes);
    if (code == 0) {
        code = set_attributes(&attributes);
        if (code == 0)
            code = posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
        if (code == 0)
            code =
                posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
        if (code == 0)
            code = posix_spawn(ret_process, words[0], &actions, &attributes, words, variables);
        (void)posix_spawnattr_destroy(&attributes);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return code;
}

static int start(const struct ps_program *program, pid_t *ret_process, struct ps_error *error)
{
    char **words = calloc(program->word_count + 1, sizeof *words);
    char **variables = make_environment();
    int input = open_input(program->input), status = 0;
    if (!words || !variables) {
        status = ps_fail_memory(error, program->word_count * sizeof *words, "a program");
    } else if (input < 0) {
        status = ps_fail(error, PS_E_SYSTEM, "%.200s: no file for its input: %s", program->words[0],
                         strerror(errno));
    } else {
        memcpy(words, program->words, program->word_count * sizeof *words);
        const int code = spawn(words, variables, input, ret_process);
        if (code)
            status = ps_fail(error, PS_E_SYSTEM, "%.200s: %s", words[0], strerror(code));
    }
    if (input >= 0)
        (void)close(input);
    free(variables);
    free(words);
    return status;
}

/* ---- the end ----------------------------------------------------------------------------------
 */

/* Waits until the program has ended or the time has come; true if it has ended. */
static bool wait_until(pid_t process, int64_t end_ns, int stop_fd, int64_t stop_ns, int *ret_status)
{
    while (waitpid(process, ret_status, WNOHANG) == 0) {
        struct pollfd stop = {.fd = stop_fd, .events = POLLIN};
        if (ps_clock_mono_ns() >= end_ns)
            return false;
        if (poll(&stop, 1, LOOK_MS) > 0 && stop_fd >= 0) {
            const int64_t last = ps_clock_mono_ns() + stop_ns;
            end_ns = last < end_ns ? last : end_ns;
            stop_fd = -1;
        }
    }
    return true;
}

int ps_program_run(const struct ps_program *program, struct ps_error *error)
{
    pid_t process;
    int ended, status = start(program, &process, error);
    if (status)
        return status;
    if (!wait_until(process, ps_clock_mono_ns() + program->limit_ns, program->stop_fd,
                    program->stop_ns, &ended)) {
        (void)kill(-process, SIGTERM);
        (void)wait_until(process, ps_clock_mono_ns() + KILL_SECONDS * second_ns, -1, 0, &ended);
        (void)kill(-process, SIGKILL); /* its children too, if it has ended */
        (void)waitpid(process, &ended, 0);
        return ps_fail(error, PS_E_SYSTEM, "%.200s: killed, as it did not end in time",
                       program->words[0]);
    }
    if (WIFSIGNALED(ended))
        return ps_fail(error, PS_E_SYSTEM, "%.200s: killed by signal %d", program->words[0],
                       WTERMSIG(ended));
    if (WEXITSTATUS(ended) != 0)
        return ps_fail(error, PS_E_SYSTEM, "%.200s: ended with status %d", program->words[0],
                       WEXITSTATUS(ended));
    return 0;
}
