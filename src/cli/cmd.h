/* The subcommands: one cmd_<name>.c each, one row in the table of main.c each. */
#ifndef PS_CLI_CMD_H
#define PS_CLI_CMD_H

/* Exit status of every command. */
enum ps_exit {
    PS_EXIT_OK = 0,
    PS_EXIT_FAILURE = 1,       /* a part failed; the rest was done */
    PS_EXIT_USAGE = 2,         /* invalid command line or configuration: nothing was done */
    PS_EXIT_INTERRUPTED = 130, /* SIGINT or SIGTERM: 128 + SIGINT, as shells report it */
};

struct ps_command {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the name; returns enum ps_exit. NULL: the
                                        * command that needs the table of commands (completion.h) */
    const char *help;                  /* one line */
};

int ps_cmd_watch(int argc, char **argv);
int ps_cmd_pick(int argc, char **argv);
int ps_cmd_listen(int argc, char **argv);
int ps_cmd_relay(int argc, char **argv);
int ps_cmd_relion(int argc, char **argv);
int ps_cmd_export(int argc, char **argv);
int ps_cmd_convert(int argc, char **argv);
int ps_cmd_status(int argc, char **argv);
int ps_cmd_retry(int argc, char **argv);
int ps_cmd_repick(int argc, char **argv);
int ps_cmd_synth(int argc, char **argv);
int ps_cmd_bench(int argc, char **argv);
int ps_cmd_check(int argc, char **argv);
int ps_cmd_keygen(int argc, char **argv);

#endif
