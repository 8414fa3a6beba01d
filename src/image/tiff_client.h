/* libtiff on a ps_source. It reports only to its client: no global handler, no temporary file, any
 * number of threads. The length of the file limits its allocations.
 */
#ifndef PS_IMAGE_TIFF_CLIENT_H
#define PS_IMAGE_TIFF_CLIENT_H

#include "base/error.h"
#include "image/reader.h"

#include <tiffio.h>

enum { PS_TIFF_MESSAGE_TEXT = 160 };

/* The client data of libtiff: its source and its messages. */
struct ps_tiff_client {
    const struct ps_source *source;
    uint64_t position;
    struct ps_error io;                 /* failure of the source */
    bool past_end;                      /* a read went beyond the end of the file */
    bool no_memory;                     /* libtiff or a codec could not allocate */
    char message[PS_TIFF_MESSAGE_TEXT]; /* libtiff's first error in a page; later ones result from
                                           it */
    char warning[PS_TIFF_MESSAGE_TEXT]; /* its first warning: some failures give only that */
};

/* Opens the file at its first page; `source` is set, the rest zero. NULL: ps_tiff_client_fail().
 * The client must live until TIFFClose(). */
TIFF *ps_tiff_client_open(struct ps_tiff_client *client);

/* Forgets the messages of the pages before. */
void ps_tiff_client_forget(struct ps_tiff_client *client);

/* Reports a failure of libtiff: that of the source, a lack of memory, or "damaged TIFF: what: why".
 * Returns its code. */
int ps_tiff_client_fail(struct ps_tiff_client *client, const char *what, struct ps_error *error);

#endif
