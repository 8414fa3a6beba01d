#include "cli/completion.h"

#include "config/config.h"

#include <stdio.h>
#include <string.h>

static const char ASK_BASH[] = "--completion=bash";
static const char ASK_ZSH[] = "--completion=zsh";

static const char bash_head[] =
    "# bash completion of pickstream(1), written by `pickstream completion bash`.\n"
    "\n"
    "# Adds an option: its names, and the kind of its argument. The variables are _pickstream's.\n"
    "_pickstream_option()\n"
    "{\n"
    "    options+=\" $1\"\n"
    "    [[ \" $1 \" == *\" $prev \"* ]] && kind=$2\n"
    "}\n"
    "\n"
    "_pickstream()\n"
    "{\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
    "    local options= kind= operands=\n"
    "    COMPREPLY=()\n"
    "    if [[ $cur == = ]]; then\n"
    "        cur=\n"
    "    elif [[ $prev == = ]]; then\n"
    "        prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "    fi\n"
    "    case ${COMP_WORDS[1]} in\n";

static const char bash_tail[] =
    "    if ((COMP_CWORD == 1)); then\n"
    "        kind=\"words $commands --help --version\"\n"
    "    elif [[ -z $kind && $cur == -* ]]; then\n"
    "        kind=\"words $options\"\n"
    "    elif [[ -z $kind ]]; then\n"
    "        kind=$operands\n"
    "    fi\n"
    "    case $kind in\n"
    "    words*) mapfile -t COMPREPLY < <(compgen -W \"${kind#words}\" -- \"$cur\") ;;\n"
    "    directory)\n"
    "        compopt -o filenames\n"
    "        mapfile -t COMPREPLY < <(compgen -d -- \"$cur\")\n"
    "        ;;\n"
    "    file)\n"
    "        compopt -o filenames\n"
    "        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
    "        ;;\n"
    "    esac\n"
    "    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace\n"
    "    return 0\n"
    "}\n"
    "complete -F _pickstream pickstream\n";

static const char zsh_head[] =
    "#compdef pickstream\n"
    "# zsh completion of pickstream(1), written by `pickstream completion zsh`.\n"
    "\n"
    "_pickstream()\n"
    "{\n"
    "    local -a commands\n"
    "    commands=(\n";

static const char zsh_middle[] = "    )\n"
                                 "    if ((CURRENT == 2)); then\n"
                                 "        _describe -t commands command commands\n"
                                 "        return\n"
                                 "    fi\n"
                                 "    shift words\n"
                                 "    ((CURRENT--))\n"
                                 "    case $words[1] in\n";

static const char zsh_tail[] = "    esac\n"
                               "}\n"
                               "if [[ $zsh_eval_context[-1] == loadautofunc ]]; then\n"
                               "    _pickstream \"$@\"\n"
                               "else\n"
                               "    compdef _pickstream pickstream\n"
                               "fi\n";

static bool is_bash(const char *word)
{
    return strcmp(word, ASK_BASH) == 0;
}

bool ps_completion_asked(const char *word)
{
    return is_bash(word) || strcmp(word, ASK_ZSH) == 0;
}

/* ---- kinds of arguments -----------------------------------------------------------------------
 */

/* Prints "a|b|c" as "a b c". */
static void print_words(const char *words)
{
    for (; *words; words++)
        (void)putchar(*words == '|' ? ' ' : *words);
}

/* The words that an option takes, as "a|b|c"; NULL: any. */
static const char *words_of(const struct ps_completion_option *option)
{
    if (option->key)
        return ps_config_words(option->key);
    if (strcmp(option->argument, "FORMAT") == 0)
        return ps_config_words("output.formats");
    return strchr(option->argument, '|') ? option->argument : NULL;
}

enum kind { KIND_NONE, KIND_DIRECTORY, KIND_FILE };

static enum kind kind_of(const char *argument)
{
    static const char *const files[] = {"FILE", "IN", "PATH"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (strstr(argument, files[i]))
            return KIND_FILE;
    return strstr(argument, "DIR") ? KIND_DIRECTORY : KIND_NONE;
}

/* ---- bash -------------------------------------------------------------------------------------
 */

static void print_bash_kind(const struct ps_completion_option *option)
{
    static const char *const names[] = {"none", "directory", "file"};
    const char *words = words_of(option);
    if (words) {
        (void)fputs("words ", stdout);
        print_words(words);
    } else if (strcmp(option->argument, "KEY=VALUE") == 0) {
        (void)fputs("words", stdout);
        ps_config_print_keys(stdout, " ", "=");
    } else {
        (void)fputs(names[kind_of(option->argument)], stdout);
    }
}

static void print_bash_option(const struct ps_completion_option *option)
{
    (void)printf("        _pickstream_option '--%s", option->name);
    if (option->letter)
        (void)printf(" -%c", option->letter);
    (void)fputs("' '", stdout);
    if (option->argument)
        print_bash_kind(option);
    (void)fputs("'\n", stdout);
}

/* ---- zsh --------------------------------------------------------------------------------------
 */

/* Prints text inside single quotes, with a backslash before what _arguments and _describe read. */
static void print_quoted(const char *text)
{
    for (; *text; text++) {
        if (*text == '\'')
            (void)fputs("'\\''", stdout);
        else if (strchr("[]:\\", *text))
            (void)printf("\\%c", *text);
        else
            (void)putchar(*text);
    }
}

static void print_zsh_action(const struct ps_completion_option *option)
{
    static const char *const actions[] = {" ", "_files -/", "_files"};
    const char *words = words_of(option);
    (void)putchar(':');
    print_quoted(option->argument);
    (void)putchar(':');
    if (words) {
        (void)putchar('(');
        print_words(words);
        (void)putchar(')');
    } else if (strcmp(option->argument, "KEY=VALUE") == 0) {
        (void)fputs("_values -S= key", stdout);
        ps_config_print_keys(stdout, " ", "");
    } else {
        (void)fputs(actions[kind_of(option->argument)], stdout);
    }
}

static void print_zsh_option(const struct ps_completion_option *option)
{
    for (int form = option->letter ? 0 : 1; form < 2; form++) {
        if (form == 0)
            (void)printf(" \\\n            '*-%c[", option->letter);
        else
            (void)printf(" \\\n            '*--%s%s[", option->name, option->argument ? "=" : "");
        print_quoted(option->help);
        (void)putchar(']');
        if (option->argument)
            print_zsh_action(option);
        (void)putchar('\'');
    }
}

/* ---- a command --------------------------------------------------------------------------------
 */

void ps_completion_begin(const char *word, const char *command, const char *operands)
{
    static const char *const bash_names[] = {"", "directory", "file"};
    static const char *const zsh_actions[] = {"", " \\\n            '*:directory:_files -/'",
                                              " \\\n            '*:file:_files'"};
    if (is_bash(word))
        (void)printf("    %s)\n        operands=%s\n", command, bash_names[kind_of(operands)]);
    else
        (void)printf("    %s)\n        _arguments%s", command, zsh_actions[kind_of(operands)]);
}

void ps_completion_option(const char *word, const struct ps_completion_option *option)
{
    if (is_bash(word))
        print_bash_option(option);
    else
        print_zsh_option(option);
}

void ps_completion_end(const char *word)
{
    (void)fputs(is_bash(word) ? "        ;;\n" : "\n        ;;\n", stdout);
}

/* ---- the file ---------------------------------------------------------------------------------
 */

static const char help[] =
    "Usage: pickstream completion bash|zsh\n"
    "\n"
    "Prints the completion file of a shell: commands, options, and the values of\n"
    "options. For this shell alone: eval \"$(pickstream completion bash)\".\n";

static void write_file(const struct ps_command *commands, const char *word)
{
    const bool bash = is_bash(word);
    (void)fputs(bash ? bash_head : zsh_head, stdout);
    for (const struct ps_command *command = commands; command->name && !bash; command++) {
        (void)printf("        '%s:", command->name);
        print_quoted(command->help);
        (void)fputs("'\n", stdout);
    }
    if (!bash)
        (void)fputs(zsh_middle, stdout);
    for (const struct ps_command *command = commands; command->name; command++) {
        char name[32], argument[sizeof ASK_BASH];
        (void)snprintf(name, sizeof name, "%s", command->name);
        (void)snprintf(argument, sizeof argument, "%s", word);
        char *argv[] = {name, argument, NULL};
        if (command->run)
            (void)command->run(2, argv);
        else
            (void)printf(bash ? "    %s)\n        operands='words bash zsh'\n        ;;\n"
                              : "    %s)\n        _arguments '1:shell:(bash zsh)'\n        ;;\n",
                         command->name);
    }
    if (!bash) {
        (void)fputs(zsh_tail, stdout);
        return;
    }
    (void)fputs("    esac\n    local commands='", stdout);
    for (const struct ps_command *command = commands; command->name; command++)
        (void)printf("%s%s", command == commands ? "" : " ", command->name);
    (void)printf("'\n%s", bash_tail);
}

int ps_cmd_completion(const struct ps_command *commands, int argc, char **argv)
{
    const char *shell = argc == 2 ? argv[1] : "";
    if (strcmp(shell, "--help") == 0 || strcmp(shell, "-h") == 0)
        (void)fputs(help, stdout);
    else if (strcmp(shell, "bash") == 0 || strcmp(shell, "zsh") == 0)
        write_file(commands, *shell == 'b' ? ASK_BASH : ASK_ZSH);
    else {
        (void)fputs("pickstream completion: expected bash or zsh\n"
                    "Try `pickstream completion --help`.\n",
                    stderr);
        return PS_EXIT_USAGE;
    }
    return PS_EXIT_OK;
}
