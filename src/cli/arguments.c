#include "cli/arguments.h"

#include "base/error.h"
#include "base/text.h"
#include "cli/cmd.h"
#include "cli/completion.h"
#include "cli/print.h"
#include "cli/units.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MAX_OPTIONS = 48,    /* of a command, common ones included */
    HELP_COLUMN = 28,    /* column of the texts in --help */
    CODE_HELP = 1,       /* results of getopt_long(): --help, */
    CODE_CONFIG = 2,     /* -c, */
    CODE_SET = 3,        /* --set, */
    CODE_FIRST = 0x1000, /* and for the row with number n: CODE_FIRST + n */
};

/* Of the commands that pick. */
static const struct ps_cli_option picking_options[] = {
    PS_CLI_KEY(0, "diameter", "LENGTH", "picker.particle_diameter",
               "particle diameter: 180 (in A) or 64px"),
    PS_CLI_KEY(0, "pixel-size", "A", "picker.pixel_size", "pixel size, over the file's header"),
    PS_CLI_KEY(0, "profile", "NAME", "picker.profile", "algorithm: adaptive or aspire"),
    PS_CLI_KEY(0, "backend", "NAME", "compute.backend", "auto, cpu, cuda or cuda:N"),
    PS_CLI_KEY(0, "threads", "N", "compute.threads", "CPU threads; 0: one a core"),
    PS_CLI_END,
};

/* All rows of a command, also in the form for getopt_long(). */
struct table {
    const struct ps_cli_option *rows[MAX_OPTIONS];
    bool given[MAX_OPTIONS];
    int count;
    struct option options[MAX_OPTIONS + 4];
    char letters[2 * MAX_OPTIONS + 8];
};

int ps_cli_usage(const struct ps_cli *cli, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (cli->error) {
        cli->error->code = PS_E_CONFIG;
        (void)vsnprintf(cli->error->message, sizeof cli->error->message, format, arguments);
    } else {
        (void)fprintf(stderr, "pickstream %s: ", cli->command);
        ps_print_arguments(stderr, format, arguments);
        (void)fprintf(stderr, "Try `pickstream %s --help`.\n", cli->command);
    }
    va_end(arguments);
    return PS_EXIT_USAGE;
}

static void add_option(struct table *table, int *count, const char *name, bool argument, int code)
{
    table->options[(*count)++] = (struct option){
        .name = name, .has_arg = argument ? required_argument : no_argument, .val = code};
}

/* False if there are too many options: a bug in the program. */
static bool build_table(const struct ps_cli *cli, bool common, struct table *ret)
{
    *ret = (struct table){0};
    const struct ps_cli_option *lists[] = {cli->options, cli->picks ? picking_options : NULL};
    int options = 0;
    /* ':' distinguishes a missing argument; the letters of the rows follow. */
    char *letters = stpcpy(ret->letters, common ? ":hc:" : ":h");
    add_option(ret, &options, "help", false, CODE_HELP);
    if (common) {
        add_option(ret, &options, "config", true, CODE_CONFIG);
        add_option(ret, &options, "set", true, CODE_SET);
    }
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        for (const struct ps_cli_option *row = lists[i]; row && row->kind; row++) {
            if (ret->count == MAX_OPTIONS)
                return false;
            add_option(ret, &options, row->name, row->argument, CODE_FIRST + ret->count);
            ret->rows[ret->count++] = row;
            if (row->letter) {
                *letters++ = row->letter;
                if (row->argument)
                    *letters++ = ':';
            }
        }
    }
    return true;
}

/* ---- --help --------------------------------------------------------------------------------- */

static void print_option(char letter, const char *name, const char *argument, const char *help)
{
    char form[8] = "    ";
    if (letter)
        (void)snprintf(form, sizeof form, "-%c, ", letter);
    int width = printf("  %s--%s%s%s", form, name, argument ? " " : "", argument ? argument : "");
    if (width >= HELP_COLUMN)
        width = printf("\n") - 1;
    (void)printf("%*s%s\n", HELP_COLUMN - width, "", help);
}

static void print_rows(const struct ps_cli_option *rows)
{
    for (const struct ps_cli_option *row = rows; row->kind; row++)
        print_option(row->letter, row->name, row->argument, row->help);
}

static void print_help(const struct ps_cli *cli, bool common)
{
    (void)printf("Usage: pickstream %s [OPTION...]%s%s\n\n%s\n\nOptions:\n", cli->command,
                 *cli->operands ? " " : "", cli->operands, cli->summary);
    print_rows(cli->options);
    if (common) {
        print_option('c', "config", "FILE", "read the configuration from FILE");
        print_option(0, "set", "KEY=VALUE", "set section.key, over the configuration file");
    }
    if (cli->picks)
        print_rows(picking_options);
    print_option('h', "help", NULL, "print this and exit");
    if (common)
        (void)printf("\nKeys and their meaning: pickstream check --template, "
                     "or pickstream.conf(5).\n");
}

static void print_completion(const struct ps_cli *cli, const struct table *table, const char *word)
{
    ps_completion_begin(word, cli->command, cli->operands);
    for (const struct option *option = table->options; option->name; option++) {
        const int number = option->val - CODE_FIRST;
        const struct ps_cli_option *row = number >= 0 ? table->rows[number] : NULL;
        struct ps_completion_option item = {.name = option->name};
        if (row)
            item = (struct ps_completion_option){row->letter, row->name, row->argument, row->key,
                                                 row->help};
        else if (option->val == CODE_CONFIG)
            item = (struct ps_completion_option){'c', "config", "FILE", NULL,
                                                 "read the configuration from FILE"};
        else if (option->val == CODE_SET)
            item = (struct ps_completion_option){0, "set", "KEY=VALUE", NULL,
                                                 "set section.key, over the configuration file"};
        else if (option->val == CODE_HELP)
            item = (struct ps_completion_option){'h', "help", NULL, NULL, "print this and exit"};
        ps_completion_option(word, &item);
    }
    ps_completion_end(word);
}

/* ---- parsing -------------------------------------------------------------------------------- */

/* Stores the argument of an option that is not a key. */
static int store(const struct ps_cli *cli, const struct ps_cli_option *row, const char *argument,
                 void *values)
{
    void *field = (char *)values + row->offset;
    char min[PS_NUMBER_TEXT], max[PS_NUMBER_TEXT];
    bool ok = true;
    switch (row->kind) {
    case PS_CLI_KIND_FLAG:
        *(bool *)field = true;
        break;
    case PS_CLI_KIND_TEXT:
        *(const char **)field = argument;
        break;
    case PS_CLI_KIND_TEXTS: {
        struct ps_cli_texts *texts = field;
        if (texts->count == PS_CLI_TEXTS_MAX)
            return ps_cli_usage(cli, "--%s: given more than %d times", row->name, PS_CLI_TEXTS_MAX);
        texts->items[texts->count++] = argument;
        break;
    }
    case PS_CLI_KIND_NUMBER:
        ok = ps_text_to_double(argument, row->min, row->max, field, NULL);
        break;
    case PS_CLI_KIND_UINT:
        ok = ps_text_to_uint(argument, (uint64_t)row->min, (uint64_t)row->max, field);
        break;
    case PS_CLI_KIND_KEY:
    case PS_CLI_KIND_END:
        break;
    }
    if (ok)
        return PS_CLI_GO;
    if (row->kind == PS_CLI_KIND_UINT)
        return ps_cli_usage(cli, "--%s %.100s: expected a whole number, %.0f to %.0f", row->name,
                            argument, row->min, row->max);
    return ps_cli_usage(cli, "--%s %.100s: expected a number, %s to %s", row->name, argument,
                        ps_text_from_double(row->min, min), ps_text_from_double(row->max, max));
}

int ps_cli_refuse(const struct ps_cli *cli, const struct ps_error *error)
{
    if (error->code == PS_E_CONFIG || error->code == PS_E_INPUT)
        return ps_cli_usage(cli, "%s", error->message);
    if (cli->error)
        *cli->error = *error;
    else
        (void)fprintf(stderr, "pickstream %s: %s\n", cli->command, error->message);
    return PS_EXIT_FAILURE;
}

/* Applies "section.key=value". */
static int apply_set(const struct ps_cli *cli, const char *argument, struct ps_config *config)
{
    const char *equals = strchr(argument, '=');
    if (!equals)
        return ps_cli_usage(cli, "--set %.100s: expected section.key=value", argument);
    char *key = strndup(argument, (size_t)(equals - argument));
    struct ps_error error;
    int code = key ? ps_config_set(config, key, equals + 1, &error)
                   : ps_fail_memory(&error, strlen(argument), "--set");
    free(key);
    if (code == 0)
        return PS_CLI_GO;
    (void)ps_fail_prefix(&error, "--set");
    return ps_cli_refuse(cli, &error);
}

/* Reports an option that getopt_long() has refused. For a short option optopt is its letter. For a
 * long option it is 0 (unknown) or its code (unexpected argument), and `given` is the word. */
static int unknown_option(const struct ps_cli *cli, const struct table *table, const char *given)
{
    if (optopt > CODE_SET && optopt < CODE_FIRST)
        return ps_cli_usage(cli, "unknown option -%c", optopt);
    char *name = strndup(given + 2, strcspn(given + 2, "="));
    if (!name)
        return ps_cli_usage(cli, "unknown option %s", given);
    for (const struct ps_cli_option *row = picking_options; row->kind; row++) {
        if (strcmp(row->name, name) == 0 && !cli->picks) {
            free(name);
            return ps_cli_usage(cli, "--%s has no effect here: this command does not pick",
                                row->name);
        }
    }
    struct ps_suggestion suggestion = {.word = name};
    int beginning = 0; /* number of options with this prefix: an ambiguous abbreviation */
    for (const struct option *option = table->options; option->name; option++) {
        ps_suggestion_offer(&suggestion, option->name);
        beginning += strncmp(option->name, name, strlen(name)) == 0;
    }
    int status;
    if (beginning == 1)
        status = ps_cli_usage(cli, "option --%s takes no argument", name);
    else if (beginning > 1)
        status = ps_cli_usage(cli, "option --%s is short for more than one", name);
    else if (suggestion.nearest)
        status =
            ps_cli_usage(cli, "unknown option --%s: did you mean --%s?", name, suggestion.nearest);
    else
        status = ps_cli_usage(cli, "unknown option --%s", name);
    free(name);
    return status;
}

static int find_letter(const struct table *table, int letter)
{
    for (int i = 0; i < table->count; i++) {
        if (letter && table->rows[i]->letter == letter)
            return CODE_FIRST + i;
    }
    return letter == 'h' ? CODE_HELP : letter == 'c' ? CODE_CONFIG : letter;
}

/* One pass over the options. The first one (`config_file` given) stores the values that are not
 * keys and finds the file; the second one (NULL) sets the keys, which override the file. */
static int walk(const struct ps_cli *cli, struct table *table, int argc, char **argv, void *values,
                struct ps_config *config, const char **config_file)
{
    bool first = config_file;
    optind = 0; /* GNU: restarts the scan */
    opterr = 0;
    for (;;) {
        int code = getopt_long(argc, argv, table->letters, table->options, NULL);
        if (code == -1)
            return PS_CLI_GO;
        if (code == '?')
            return unknown_option(cli, table, argv[optind - 1]);
        if (code == ':')
            return ps_cli_usage(cli, "option %s needs an argument", argv[optind - 1]);
        code = find_letter(table, code);
        int status = PS_CLI_GO;
        if (code == CODE_HELP) {
            print_help(cli, config);
            return PS_EXIT_OK;
        }
        if (code == CODE_CONFIG) {
            if (first && *config_file)
                return ps_cli_usage(cli, "--config is given twice");
            if (first)
                *config_file = optarg;
        } else if (code == CODE_SET) {
            if (!first)
                status = apply_set(cli, optarg, config);
        } else {
            const struct ps_cli_option *row = table->rows[code - CODE_FIRST];
            table->given[code - CODE_FIRST] = true;
            struct ps_error error;
            if (row->kind != PS_CLI_KIND_KEY) {
                status = first ? store(cli, row, optarg, values) : PS_CLI_GO;
            } else if (!first &&
                       ps_config_set(config, row->key, row->argument ? optarg : "yes", &error)) {
                (void)ps_fail_prefix(&error, "--%s", row->name);
                status = ps_cli_refuse(cli, &error);
            }
        }
        if (status != PS_CLI_GO)
            return status;
    }
}

static bool is_given(const struct table *table, const char *name)
{
    for (int i = 0; i < table->count; i++)
        if (table->given[i] && strcmp(table->rows[i]->name, name) == 0)
            return true;
    return false;
}

static int check_rules(const struct ps_cli *cli, const struct table *table)
{
    for (const struct ps_cli_rule *rule = cli->rules; rule && rule->option; rule++)
        if (is_given(table, rule->option) && !is_given(table, rule->needs))
            return ps_cli_usage(cli, "--%s has no effect without --%s", rule->option, rule->needs);
    return PS_CLI_GO;
}

/* Refuses an operand that belongs to the number before it. `words` is argv before it was reordered.
 */
static int check_units(const struct ps_cli *cli, const struct table *table, int argc, char **argv,
                       char *const *words)
{
    bool lengths = false;
    const char *with_unit = NULL;
    for (int i = 0; i < table->count; i++) {
        const char *argument = table->rows[i]->argument;
        lengths |= ps_unit_is_metavariable(argument);
        if (argument && strcmp(argument, "LENGTH") == 0)
            with_unit = table->rows[i]->name;
    }
    char advice[PS_UNIT_ADVICE];
    for (int i = optind; i < argc && lengths; i++)
        if (ps_unit_advice(words, argc, argv[i], with_unit, advice))
            return ps_cli_usage(cli, "%s", advice);
    return PS_CLI_GO;
}

/* True if the file could not be read though it is there: memory, descriptors or the disk failed. */
static bool is_shortage(int code, const char *path)
{
    struct stat info;
    return code == PS_E_NOMEM || (code == PS_E_SYSTEM && stat(path, &info) == 0 &&
                                  S_ISREG(info.st_mode) && access(path, R_OK) == 0);
}

/* Reads the file, if one is given, and then the options that set keys. */
static int configure(const struct ps_cli *cli, struct table *table, int argc, char **argv,
                     void *values, struct ps_config *config, const char *config_file)
{
    struct ps_error error;
    int code = config_file ? ps_config_read(config, config_file, &error) : 0;
    if (code) {
        if (cli->error)
            *cli->error = error;
        else /* FILE:LINE comes first, so that editors recognise it. */
            ps_say("%s", error.message);
        return is_shortage(code, config_file) ? PS_EXIT_FAILURE : PS_EXIT_USAGE;
    }
    return config ? walk(cli, table, argc, argv, values, config, NULL) : PS_CLI_GO;
}

int ps_cli_parse(const struct ps_cli *cli, int argc, char **argv, void *values,
                 struct ps_config *config, int *ret_operands)
{
    struct table table;
    if (!build_table(cli, config, &table))
        return ps_cli_usage(cli, "more than %d options: a mistake in pickstream", MAX_OPTIONS);
    if (argc == 2 && ps_completion_asked(argv[1])) {
        print_completion(cli, &table, argv[1]);
        return PS_EXIT_OK;
    }
    struct ps_error error;
    char **words = malloc((size_t)argc * sizeof *words);
    if (!words) {
        (void)ps_fail_memory(&error, (size_t)argc * sizeof *words, "the arguments");
        return ps_cli_refuse(cli, &error);
    }
    memcpy(words, argv, (size_t)argc * sizeof *words);
    const char *config_file = NULL;
    int status = walk(cli, &table, argc, argv, values, config, &config_file);
    if (status == PS_CLI_GO)
        status = check_units(cli, &table, argc, argv, words);
    free(words);
    if (status == PS_CLI_GO)
        status = check_rules(cli, &table);
    if (status == PS_CLI_GO)
        status = configure(cli, &table, argc, argv, values, config, config_file);
    if (status != PS_CLI_GO)
        return status;
    if (!*cli->operands && optind < argc)
        return ps_cli_usage(cli, "unexpected argument %.100s", argv[optind]);
    *ret_operands = optind;
    return PS_CLI_GO;
}
