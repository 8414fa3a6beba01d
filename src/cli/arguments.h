/* The command line of a subcommand, from a table: parsing and --help come from the same rows.
 *
 *     struct options { bool overlay; const char *report; };
 *     static const struct ps_cli_option options[] = {
 *         PS_CLI_KEY('o', "output", "DIR", "output.directory", "write files of picks there"),
 *         PS_CLI_FLAG(0, "overlay", struct options, overlay, "write a PNG of the picks too"),
 *         PS_CLI_TEXT(0, "report", "FILE", struct options, report, "write a report"),
 *         PS_CLI_END,
 *     };
 *     static const struct ps_cli cli = {.command = "pick", .operands = "FILE|DIR...", ...};
 *     struct options values = {0};
 *     int operands;
 *     int status = ps_cli_parse(&cli, argc, argv, &values, config, &operands);
 *     if (status != PS_CLI_GO)
 *         return status;
 *
 * A command with a configuration also has -c FILE and --set; one that picks has --diameter and
 * more. The file is read first, wherever -c is; the other options override it in the order given.
 * Texts are not copied from argv. Options can follow operands; "--" ends the options. Errors are
 * printed on stderr, --help on stdout. Not thread-safe, because it uses getopt_long().
 *
 * An option that would have no effect is an error: one that the command does not have, or one that
 * needs another one (struct ps_cli_rule). So is an operand that is a unit where an option takes a
 * length: the shell makes two words of "--diameter=64 px".
 */
#ifndef PS_CLI_ARGUMENTS_H
#define PS_CLI_ARGUMENTS_H

#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ps_cli_kind {
    PS_CLI_KIND_END,
    PS_CLI_KIND_KEY,    /* sets a key of the configuration; without an argument to "yes" */
    PS_CLI_KIND_FLAG,   /* bool: becomes true */
    PS_CLI_KIND_TEXT,   /* const char *: the argument; the last one if repeated */
    PS_CLI_KIND_TEXTS,  /* struct ps_cli_texts: all arguments, in their order */
    PS_CLI_KIND_NUMBER, /* double in [min, max] */
    PS_CLI_KIND_UINT,   /* uint64_t in [min, max] */
};

enum { PS_CLI_TEXTS_MAX = 64 };
struct ps_cli_texts {
    const char *items[PS_CLI_TEXTS_MAX];
    size_t count;
};

struct ps_cli_option {
    enum ps_cli_kind kind;
    char letter;          /* short form, or 0 */
    const char *name;     /* long form, without "--" */
    const char *argument; /* name of its argument in --help; NULL for a flag */
    const char *key;      /* "section.key" */
    size_t offset;        /* of the value in the command's own struct */
    double min, max;
    const char *help; /* one line, lower case, without a full stop */
};

#define PS_CLI_KEY(letter_, name_, argument_, key_, help_)                                         \
    {                                                                                              \
        .kind = PS_CLI_KIND_KEY, .letter = letter_, .name = name_, .argument = argument_,          \
        .key = key_, .help = help_                                                                 \
    }
#define PS_CLI_SWITCH(letter_, name_, key_, help_) PS_CLI_KEY(letter_, name_, NULL, key_, help_)
#define PS_CLI_FLAG(letter_, name_, struct_, field_, help_)                                        \
    {                                                                                              \
        .kind = PS_CLI_KIND_FLAG, .letter = letter_, .name = name_,                                \
        .offset = offsetof(struct_, field_), .help = help_                                         \
    }
#define PS_CLI_TEXT(letter_, name_, argument_, struct_, field_, help_)                             \
    {                                                                                              \
        .kind = PS_CLI_KIND_TEXT, .letter = letter_, .name = name_, .argument = argument_,         \
        .offset = offsetof(struct_, field_), .help = help_                                         \
    }
#define PS_CLI_TEXTS(letter_, name_, argument_, struct_, field_, help_)                            \
    {                                                                                              \
        .kind = PS_CLI_KIND_TEXTS, .letter = letter_, .name = name_, .argument = argument_,        \
        .offset = offsetof(struct_, field_), .help = help_                                         \
    }
#define PS_CLI_NUMBER(letter_, name_, argument_, struct_, field_, min_, max_, help_)               \
    {                                                                                              \
        .kind = PS_CLI_KIND_NUMBER, .letter = letter_, .name = name_, .argument = argument_,       \
        .offset = offsetof(struct_, field_), .min = min_, .max = max_, .help = help_               \
    }
#define PS_CLI_UINT(letter_, name_, argument_, struct_, field_, min_, max_, help_)                 \
    {                                                                                              \
        .kind = PS_CLI_KIND_UINT, .letter = letter_, .name = name_, .argument = argument_,         \
        .offset = offsetof(struct_, field_), .min = min_, .max = max_, .help = help_               \
    }
#define PS_CLI_END                                                                                 \
    {                                                                                              \
        .kind = PS_CLI_KIND_END                                                                    \
    }

/* Two options of a command: `option` has no effect without `needs`. */
struct ps_cli_rule {
    const char *option;
    const char *needs;
};

struct ps_cli {
    const char *command;
    const char *operands; /* for the usage line: "FILE|DIR..."; "" for a command without any */
    const char *summary;  /* sentences below the usage line */
    const struct ps_cli_option *options;
    const struct ps_cli_rule *rules; /* ends with a row of NULLs; can be NULL */
    bool picks;             /* has the options of picking: --diameter, --backend and more */
    struct ps_error *error; /* gets the text of an error instead of stderr; can be NULL */
};

enum { PS_CLI_GO = -1 };

/* Parses argv into `values` and the configuration (can be NULL). Returns PS_CLI_GO, with
 * argv[*ret_operands] the first operand (argv is reordered so that operands come last), or the exit
 * status: PS_EXIT_OK after --help, PS_EXIT_USAGE after an error, which has been printed,
 * PS_EXIT_FAILURE without memory, or when the configuration file is there but cannot be read.
 * Operands for a command without any are an error. The caller calls ps_config_check(). */
int ps_cli_parse(const struct ps_cli *cli, int argc, char **argv, void *values,
                 struct ps_config *config, int *ret_operands);

/* Reports an error that the configuration or the machine has. Returns PS_EXIT_USAGE for PS_E_CONFIG
 * and PS_E_INPUT, PS_EXIT_FAILURE for others: starting again can help then. */
int ps_cli_refuse(const struct ps_cli *cli, const struct ps_error *error);

/* Prints "pickstream COMMAND: ..." on stderr, or stores it without that in cli->error. Returns
 * PS_EXIT_USAGE. */
__attribute__((format(printf, 2, 3))) int ps_cli_usage(const struct ps_cli *cli, const char *format,
                                                       ...);

#endif
