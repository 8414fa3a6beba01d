#include "image/tiff_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static tmsize_t client_read(thandle_t handle, void *buffer, tmsize_t length)
{
    struct ps_tiff_client *client = handle;
    const uint64_t size = client->source->size;
    const uint64_t left = client->position < size ? size - client->position : 0;
    const size_t n = (uint64_t)length < left ? (size_t)length : (size_t)left;
    struct ps_error error;
    client->past_end |= n < (size_t)length;
    if (n == 0)
        return 0;
    if (client->source->read_at(client->source, client->position, buffer, n, &error)) {
        client->io = error;
        return -1;
    }
    client->position += n;
    return (tmsize_t)n;
}

static tmsize_t client_write(thandle_t handle, void *buffer, tmsize_t length)
{
    (void)handle, (void)buffer, (void)length;
    return -1;
}

static toff_t client_seek(thandle_t handle, toff_t offset, int whence)
{
    struct ps_tiff_client *client = handle;
    const uint64_t base = whence == SEEK_CUR   ? client->position
                          : whence == SEEK_END ? client->source->size
                                               : 0;
    client->position = base + offset;
    return client->position;
}

static int client_close(thandle_t handle)
{
    (void)handle;
    return 0;
}

static toff_t client_size(thandle_t handle)
{
    return ((struct ps_tiff_client *)handle)->source->size;
}

/* libtiff reports a failed allocation only in words, which differ. */
static void note_memory(struct ps_tiff_client *client)
{
    client->no_memory |= errno == ENOMEM;
}

/* Stores the first message in `text` (PS_TIFF_MESSAGE_TEXT) as one printable line. */
__attribute__((format(printf, 2, 0))) static void keep(char *text, const char *format,
                                                       va_list arguments)
{
    if (text[0])
        return;
    (void)vsnprintf(text, PS_TIFF_MESSAGE_TEXT, format, arguments);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || (unsigned char)*c >= 0x7f)
            *c = ' ';
}

__attribute__((format(printf, 4, 0))) static int client_complain(TIFF *tif, void *client,
                                                                 const char *module,
                                                                 const char *format,
                                                                 va_list arguments)
{
    (void)tif, (void)module;
    note_memory(client);
    keep(((struct ps_tiff_client *)client)->message, format, arguments);
    return 1; /* handled: do not call the global handler */
}

__attribute__((format(printf, 4, 0))) static int client_warn(TIFF *tif, void *client,
                                                             const char *module, const char *format,
                                                             va_list arguments)
{
    (void)tif, (void)module;
    note_memory(client);
    keep(((struct ps_tiff_client *)client)->warning, format, arguments);
    return 1;
}

TIFF *ps_tiff_client_open(struct ps_tiff_client *client)
{
    errno = 0; /* note_memory() */
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!options) {
        client->no_memory = true;
        return NULL;
    }
    /* What it allocates at once: a compressed strip, or a table of strips that has 8 bytes an entry
     * in memory and at least 1 in the file. */
    const uint64_t most = client->source->size / 8 < INT64_MAX / 128
                              ? 8 * client->source->size + (1 << 20)
                              : INT64_MAX / 2;
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, (tmsize_t)most);
    TIFFOpenOptionsSetErrorHandlerExtR(options, client_complain, client);
    TIFFOpenOptionsSetWarningHandlerExtR(options, client_warn, client);
    /* m: no memory map; c: strips as they are in the file. */
    TIFF *tif = TIFFClientOpenExt("", "rmc", client, client_read, client_write, client_seek,
                                  client_close, client_size, NULL, NULL, options);
    TIFFOpenOptionsFree(options);
    return tif;
}

void ps_tiff_client_forget(struct ps_tiff_client *client)
{
    client->message[0] = client->warning[0] = '\0';
    client->no_memory = false;
    errno = 0; /* note_memory() */
}

int ps_tiff_client_fail(struct ps_tiff_client *client, const char *what, struct ps_error *error)
{
    note_memory(client);
    if (client->io.code)
        return ps_fail(error, client->io.code, "%s", client->io.message);
    if (client->no_memory)
        return ps_fail(error, PS_E_NOMEM, "no memory to decode the TIFF, %s", what);
    const char *why = client->message[0]   ? client->message
                      : client->warning[0] ? client->warning
                                           : "libtiff does not say why";
    return ps_fail(error, PS_E_INPUT, "damaged TIFF: %s: %s", what, why + strspn(why, ": "));
}
