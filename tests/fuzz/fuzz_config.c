/* Fuzzes the reader of configurations: no file may crash it; one that is refused changes nothing,
 * and one that is accepted is printed as a file that gives the same configuration. */
#include "config/config.h"

#include "file.h"

static char *print(const struct ps_config *config)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (!stream || ps_config_print(config, stream, NULL) != 0)
        abort();
    (void)fclose(stream);
    return text;
}

/* Reads a text into a new configuration; NULL if it is refused. */
static struct ps_config *read_text(const void *bytes, size_t length)
{
    struct ps_error error = {0};
    char path[MEMORY_PATH];
    struct ps_config *config = ps_config_new();
    if (!config)
        abort();
    char *before = print(config);
    int fd = memory_file(bytes, length, path);
    int status = ps_config_read(config, path, &error);
    check_message(status, &error);
    (void)close(fd);
    char *after = print(config);
    if (status && strcmp(before, after) != 0)
        abort();
    free(before);
    free(after);
    if (status == 0)
        return config;
    ps_config_free(config);
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct ps_config *config = read_text(bytes, length);
    if (!config)
        return 0;
    struct ps_error error = {0};
    check_message(ps_config_check(config, &error), &error);
    (void)ps_config_accepts(config, "FoilHole_1_fractions.mrc");
    (void)ps_config_names(config, "x_DW.mrc");
    char *printed = print(config);
    struct ps_config *again = read_text(printed, strlen(printed));
    if (!again)
        abort();
    char *repeated = print(again);
    if (strcmp(printed, repeated) != 0)
        abort();
    free(printed);
    free(repeated);
    ps_config_free(config);
    ps_config_free(again);
    return 0;
}
