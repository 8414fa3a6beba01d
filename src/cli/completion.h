/* Completion files for bash and zsh. `pickstream completion SHELL` writes them: main.c runs every
 * command with the one argument of ps_completion_word(), and ps_cli_parse() answers with the rows
 * of its table, so that they cannot differ from --help. */
#ifndef PS_CLI_COMPLETION_H
#define PS_CLI_COMPLETION_H

#include "cli/cmd.h"

#include <stdbool.h>

struct ps_completion_option {
    char letter;          /* or 0 */
    const char *name;     /* without "--" */
    const char *argument; /* its name in --help, or NULL */
    const char *key;      /* "section.key", or NULL */
    const char *help;
};

/* True if this is the argument that asks for a command's part of a completion file. */
bool ps_completion_asked(const char *word);

/* The part of a command on stdout: its name and operands, its options, its end. */
void ps_completion_begin(const char *word, const char *command, const char *operands);
void ps_completion_option(const char *word, const struct ps_completion_option *option);
void ps_completion_end(const char *word);

/* `pickstream completion bash|zsh`. */
int ps_cmd_completion(const struct ps_command *commands, int argc, char **argv);

#endif
