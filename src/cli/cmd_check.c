/* pickstream check: checks the configuration as the other commands do. */
#include "base/error.h"
#include "cli/arguments.h"
#include "cli/cmd.h"
#include "cli/print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct check_options {
    bool print;
    bool print_template;
    bool man;
};

static const struct ps_cli_option check_options[] = {
    PS_CLI_FLAG('p', "print", struct check_options, print,
                "print the value of every key, as a configuration file"),
    PS_CLI_FLAG(0, "template", struct check_options, print_template,
                "print a file of all keys with their defaults and meaning"),
    PS_CLI_FLAG(0, "man", struct check_options, man, "print pickstream.conf(5) in roff"),
    PS_CLI_END,
};

static const struct ps_cli check_cli = {
    .command = "check",
    .picks = true,
    .operands = "",
    .summary = "Reads and checks the configuration as the other commands do.\n"
               "Reports the first error with file and line; the exit status is then 2.",
    .options = check_options,
};

/* Prints all values: on a terminal printable, in a file such that they are read back. */
static int print_values(const struct ps_config *config, struct ps_error *error)
{
    char *text = NULL, *rest = NULL;
    size_t size = 0;
    if (isatty(STDOUT_FILENO) != 1)
        return ps_config_print(config, stdout, error);
    FILE *stream = open_memstream(&text, &size);
    if (!stream)
        return ps_fail_memory(error, BUFSIZ, "the configuration");
    int status = ps_config_print(config, stream, error);
    if (fclose(stream) != 0 && status == 0)
        status = ps_fail_memory(error, size, "the configuration");
    for (char *line = rest = text; status == 0 && (line = strsep(&rest, "\n")) && rest;)
        ps_print(stdout, "%s", line);
    free(text);
    return status;
}

static int check(const struct check_options *options, const struct ps_config *config)
{
    if (options->print_template)
        ps_config_template(stdout);
    if (options->man)
        ps_config_man(stdout);
    if (options->print_template || options->man)
        return PS_EXIT_OK;
    /* Printed before the check, because the values help to find the cause of an error. */
    struct ps_error error;
    if (options->print && print_values(config, &error) != 0)
        return ps_cli_refuse(&check_cli, &error);
    if (ps_config_check(config, &error) != 0)
        return ps_cli_refuse(&check_cli, &error);
    if (!options->print)
        (void)printf("configuration OK\n");
    return PS_EXIT_OK;
}

int ps_cmd_check(int argc, char **argv)
{
    struct ps_config *config = ps_config_new();
    if (!config) {
        (void)fputs("pickstream check: no memory\n", stderr);
        return PS_EXIT_FAILURE;
    }
    struct check_options options = {0};
    int operands;
    int status = ps_cli_parse(&check_cli, argc, argv, &options, config, &operands);
    if (status == PS_CLI_GO)
        status = check(&options, config);
    ps_config_free(config);
    return status;
}
