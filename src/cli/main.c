/* pickstream: finds the subcommand and runs it.
 *
 * The program never calls setlocale(), so numbers have the same format everywhere. Commands print
 * on stdout without checks; main() checks at the end whether all of it was written.
 */
#include "base/text.h"
#include "cli/cmd.h"
#include "cli/completion.h"
#include "cli/print.h"
#include "pickstream.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct ps_command commands[] = {
    {"watch", ps_cmd_watch, "the service: pick micrographs as they appear, publish the picks"},
    {"pick", ps_cmd_pick, "pick particles in micrographs and write files of picks"},
    {"relion", ps_cmd_relion, "an External job of RELION: pick the micrographs of its list"},
    {"listen", ps_cmd_listen, "subscribe to a service: print outcomes or write them as files"},
    {"relay", ps_cmd_relay, "serve the picks of several services from one address"},
    {"export", ps_cmd_export, "write the picks of a service's whole journal as files"},
    {"convert", ps_cmd_convert, "convert files of picks between the formats of other programs"},
    {"status", ps_cmd_status, "say what a running service is doing"},
    {"retry", ps_cmd_retry, "put failed micrographs back in the queue of the service"},
    {"repick", ps_cmd_repick, "have outcomes made anew with the settings in force"},
    {"synth", ps_cmd_synth, "write synthetic micrographs with known particles"},
    {"bench", ps_cmd_bench, "measure this machine: stage times, memory"},
    {"check", ps_cmd_check, "check a configuration, print the values in effect"},
    {"keygen", ps_cmd_keygen, "make a pair of keys for encrypted connections"},
    {"completion", NULL, "print the completion file of a shell, bash or zsh"},
    {NULL, NULL, NULL},
};

static void print_help(FILE *stream)
{
    (void)fputs("Usage: pickstream COMMAND [OPTION...] [ARGUMENT...]\n"
                "\n"
                "Picks particles in cryo-EM micrographs with the APPLE picker algorithm.\n"
                "\n"
                "Commands:\n",
                stream);
    for (const struct ps_command *command = commands; command->name; command++)
        (void)fprintf(stream, "  %-10s %s\n", command->name, command->help);
    (void)fputs("\n"
                "  --help     print this; pickstream COMMAND --help for a command's options\n"
                "  --version  print the version\n"
                "\n"
                "Exit status: 0 done, 1 something failed, 2 command line or configuration wrong.\n"
                "\n"
                "For example: pickstream pick --diameter 180 --overlay -o picks micrograph.mrc\n",
                stream);
}

static int unknown(const char *name)
{
    struct ps_suggestion suggestion = {.word = name};
    for (const struct ps_command *command = commands; command->name; command++)
        ps_suggestion_offer(&suggestion, command->name);
    ps_suggestion_offer(&suggestion, "--help");
    ps_suggestion_offer(&suggestion, "--version");
    const char *what = *name == '-' ? "option" : "command";
    if (suggestion.nearest)
        ps_say("pickstream: unknown %s %s: did you mean %s?", what, name, suggestion.nearest);
    else
        ps_say("pickstream: unknown %s %s", what, name);
    (void)fputs("Try `pickstream --help`.\n", stderr);
    return PS_EXIT_USAGE;
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return PS_EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        print_help(stdout);
        return PS_EXIT_OK;
    }
    if (strcmp(name, "--version") == 0) {
        (void)printf("pickstream %s\n", ps_version());
        return PS_EXIT_OK;
    }
    for (const struct ps_command *command = commands; command->name; command++) {
        if (strcmp(name, command->name) == 0)
            return command->run ? command->run(argc - 1, argv + 1)
                                : ps_cmd_completion(commands, argc - 1, argv + 1);
    }
    return unknown(name);
}

int main(int argc, char **argv)
{
    int status = run(argc, argv);
    /* errno is the reason only if this last write fails; an earlier failure has set ferror(). */
    bool failed = ferror(stdout) != 0;
    errno = 0;
    if (fflush(stdout) != 0 || failed) {
        (void)fprintf(stderr, "pickstream: cannot write to standard output%s%s\n",
                      errno ? ": " : "", errno ? strerror(errno) : "");
        return status == PS_EXIT_OK ? PS_EXIT_FAILURE : status;
    }
    return status;
}
