/* TIFF and BigTIFF through libtiff, as microscopes and correction programs write them: one grey
 * sample a pixel, in strips or tiles, one page or the frames of a movie.
 *
 *  - A TIFF's first row is the top one, an MRC's first row the bottom one. Rows are flipped on
 *    reading, as RELION, IMOD and EMAN2 do: row r of the file is y = height - 1 - r.
 *  - Pages marked as thumbnails or masks are not frames; all others must have the first one's shape
 *    and type.
 *  - The length of the file limits libtiff's allocations; max_pixels limits those of this reader,
 *    and the length, too, if nothing is compressed.
 */
#include "image/reader.h"

#include "base/error.h"
#include "image/tiff_client.h"
#include "image/tiff_page.h"
#include "image/tiff_surplus.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>

enum { MAX_PAGES = 1 << 16 };

/* ---- pixels ---- */

/* Decodes the current page cell by cell into the image, flipped; or adds it, if `row` is given:
 * memory for a row of page->type. `cell` holds page->cell_bytes. */
static int decode_page(TIFF *tif, struct ps_tiff_client *client, const struct ps_tiff_page *page,
                       void *cell, void *row, const struct ps_image *image, unsigned char *pixels,
                       struct ps_error *error)
{
    const size_t pixel_bytes = ps_pixel_bytes(image->type);
    const uint32_t across = (page->width - 1) / page->cell_width + 1;
    for (uint32_t i = 0; i < page->cells; i++) {
        const tmsize_t bytes = (tmsize_t)ps_tiff_cell_bytes(page, i);
        const tmsize_t n = page->tiled ? TIFFReadEncodedTile(tif, i, cell, bytes)
                                       : TIFFReadEncodedStrip(tif, i, cell, bytes);
        if (n != bytes) {
            char what[64];
            snprintf(what, sizeof what, "%s %" PRIu32 " of %" PRIu32, ps_tiff_cell_name(page),
                     i + 1, page->cells);
            return ps_tiff_client_fail(client, what, error);
        }
        const uint32_t x = i % across * page->cell_width, y = i / across * page->cell_height;
        const uint32_t columns =
            page->width - x < page->cell_width ? page->width - x : page->cell_width;
        for (uint32_t r = 0; r < page->cell_height && y + r < page->height; r++) {
            const unsigned char *from = (unsigned char *)cell + r * page->cell_row_bytes;
            unsigned char *to =
                pixels + ((size_t)(page->height - 1 - y - r) * page->width + x) * pixel_bytes;
            ps_tiff_convert(page, from, columns, row ? row : to);
            if (row)
                ps_pixels_add(row, page->type, columns, (float *)to);
        }
    }
    return 0;
}

/* Reads an unsigned number of `length` bytes, up to 8. */
static int read_number(const struct ps_source *source, uint64_t offset, size_t length,
                       bool little_endian, uint64_t *ret, struct ps_error *error)
{
    unsigned char bytes[8];
    int code = source->read_at(source, offset, bytes, length, error);
    if (code)
        return code;
    uint64_t number = 0;
    for (size_t i = 0; i < length; i++)
        number = number << 8 | bytes[little_endian ? length - 1 - i : i];
    *ret = number;
    return 0;
}

/* libtiff accepts a file that is cut before the last directory's link to the next one, so a
 * truncated movie would look like one image. */
static int check_last_link(TIFF *tif, const struct ps_tiff_client *client, struct ps_error *error)
{
    const struct ps_source *source = client->source;
    const uint64_t offset = TIFFCurrentDirOffset(tif);
    const bool big_tiff = TIFFIsBigTIFF(tif);
    uint64_t entries;
    int code =
        read_number(source, offset, big_tiff ? 8 : 2, !TIFFIsBigEndian(tif), &entries, error);
    if (code)
        return code;
    const uint64_t end = offset + (big_tiff ? 8 + 20 * entries + 8 : 2 + 12 * entries + 4);
    if (end > source->size)
        return ps_fail(error, PS_E_INPUT,
                       "truncated: its last directory reaches to byte %" PRIu64
                       ", but the file ends at byte %" PRIu64,
                       end, source->size);
    return 0;
}

/* Goes to the next page. Returns 1, or 0 after the last. */
static int next_page(TIFF *tif, struct ps_tiff_client *client, uint32_t number,
                     struct ps_error *error)
{
    if (TIFFLastDirectory(tif))
        return check_last_link(tif, client, error);
    ps_tiff_client_forget(client);
    char what[32];
    snprintf(what, sizeof what, "page %" PRIu32, number);
    if (number > MAX_PAGES || !TIFFReadDirectory(tif))
        return ps_tiff_client_fail(client, what, error);
    return 1;
}

/* Inspects all pages: adds them to `content`, and checks that the frames are alike. */
static int inspect_pages(TIFF *tif, struct ps_tiff_client *client,
                         const struct ps_read_options *options, struct ps_tiff_page *ret_page,
                         struct ps_tiff_content *content, struct ps_error *error)
{
    int more = 1;
    for (uint32_t number = 1; more > 0; number++) {
        if (ps_tiff_is_frame(tif)) {
            struct ps_tiff_page page;
            int code = ps_tiff_page_inspect(tif, options, &page, error);
            if (!code)
                code = ps_tiff_page_check_cells(tif, &page, client->source->size, error);
            if (code)
                return code;
            if (content->frames++ == 0) {
                *ret_page = page;
                content->frame_bytes = ps_tiff_stored_bytes(tif);
            } else if (page.width != ret_page->width || page.height != ret_page->height ||
                       page.type != ret_page->type)
                return ps_fail(error, PS_E_INPUT,
                               "TIFF whose page %" PRIu32 " has %" PRIu32 " x %" PRIu32
                               " px of %u bits, the first one %" PRIu32 " x %" PRIu32
                               " px of %u bits: neither a micrograph nor a movie",
                               number, page.width, page.height, page.bits, ret_page->width,
                               ret_page->height, ret_page->bits);
        }
        if (__builtin_add_overflow(content->stored_bytes, ps_tiff_stored_bytes(tif),
                                   &content->stored_bytes))
            content->stored_bytes = UINT64_MAX; /* damaged: then nothing is left over */
        more = next_page(tif, client, number + 1, error);
    }
    if (more == 0 && content->frames == 0)
        return ps_fail(error, PS_E_INPUT, "TIFF with thumbnails or masks only, an image expected");
    content->pixels = (uint64_t)ret_page->width * ret_page->height;
    content->compressed = ret_page->compression != COMPRESSION_NONE;
    return more;
}

/* Decodes the frames that inspect_pages() found. */
static int read_frames(TIFF *tif, struct ps_tiff_client *client,
                       const struct ps_read_options *options, uint32_t frames,
                       struct ps_micrograph *micrograph, struct ps_error *error)
{
    ps_tiff_client_forget(client);
    if (!TIFFSetDirectory(tif, 0))
        return ps_tiff_client_fail(client, "page 1", error);
    int more = 1;
    for (uint32_t number = 1, done = 0; more > 0; number++) {
        if (ps_tiff_is_frame(tif)) {
            struct ps_tiff_page page; /* read for each frame: strips can differ */
            int code = ps_tiff_page_inspect(tif, options, &page, error);
            if (code)
                return code;
            const size_t row_bytes = page.width * ps_pixel_bytes(page.type);
            unsigned char *memory = malloc(page.cell_bytes + row_bytes + 16);
            if (!memory)
                return ps_fail_memory(error, page.cell_bytes + row_bytes, "a strip or tile");
            void *row = memory + (page.cell_bytes + 15) / 16 * 16;
            ps_tiff_client_forget(client);
            code = decode_page(tif, client, &page, memory, frames > 1 ? row : NULL,
                               &micrograph->image, micrograph->pixels, error);
            free(memory);
            if (code || ++done == frames)
                return code;
        }
        more = next_page(tif, client, number + 1, error);
    }
    return more ? more : ps_fail(error, PS_E_BUG, "frames of a TIFF counted wrongly");
}

static int read_open(TIFF *tif, struct ps_tiff_client *client,
                     const struct ps_read_options *options, struct ps_micrograph **ret_micrograph,
                     struct ps_error *error)
{
    struct ps_tiff_page page = {0};
    struct ps_tiff_content content = {0};
    char surplus[sizeof((struct ps_micrograph *)NULL)->warning];
    int code = inspect_pages(tif, client, options, &page, &content, error);
    const uint32_t frames = (uint32_t)content.frames; /* at most MAX_PAGES */
    if (!code)
        code = ps_movie_check(frames, options, error);
    if (!code)
        code = ps_tiff_check_surplus(tif, client->source, &content, surplus, sizeof surplus, error);
    if (code)
        return code;

    struct ps_micrograph *micrograph;
    code = ps_micrograph_new("tiff", (int)page.width, (int)page.height,
                             frames > 1 ? PS_PIXEL_F32 : page.type, &micrograph, error);
    if (code)
        return code;
    micrograph->mode = page.bits;
    micrograph->frames = (int)frames;
    micrograph->image.pixel_size = page.pixel_size;
    code = ps_micrograph_allocate(micrograph, options, error);
    if (code)
        return code;
    if (*surplus)
        ps_micrograph_warn(micrograph, "%s", surplus);
    if (page.photometric == PHOTOMETRIC_MINISWHITE)
        ps_micrograph_warn(micrograph, "TIFF says that 0 is white: values taken as stored");
    if (page.packed)
        ps_micrograph_warn(micrograph,
                           "8-bit TIFF of %u x %u px: taken for 4-bit pixels, two a byte, as "
                           "SerialEM packs them",
                           page.width / 2, page.height);
    if (frames > 1)
        memset(micrograph->pixels, 0, (size_t)page.width * page.height * sizeof(float));
    code = read_frames(tif, client, options, frames, micrograph, error);
    if (code) {
        ps_micrograph_free(micrograph);
        return code;
    }
    *ret_micrograph = micrograph;
    return 0;
}

/* ---- the reader ---- */

static bool probe(const unsigned char *head, size_t length)
{
    if (length < 4)
        return false;
    return !memcmp(head, "II*\0", 4) || !memcmp(head, "MM\0*", 4) || !memcmp(head, "II+\0", 4) ||
           !memcmp(head, "MM\0+", 4);
}

/* In most files the first directory follows the pixels, so a truncated file lacks it. Reports that
 * instead of libtiff's message. */
static int check_header(const struct ps_source *source, struct ps_error *error)
{
    unsigned char head[4]; /* checked by the probe */
    int code = source->read_at(source, 0, head, sizeof head, error);
    if (code)
        return code;
    const bool little_endian = head[0] == 'I', big_tiff = head[2] == '+' || head[3] == '+';
    const size_t length = big_tiff ? 8 : 4; /* of an offset, which begins at its length */
    if (source->size < 2 * length)
        return ps_fail(error, PS_E_INPUT,
                       "truncated: %" PRIu64 " bytes, the header of a %s has %zu", source->size,
                       big_tiff ? "BigTIFF" : "TIFF", 2 * length);
    uint64_t directory;
    code = read_number(source, length, length, little_endian, &directory, error);
    if (code)
        return code;
    if (directory == 0)
        return ps_fail(error, PS_E_INPUT,
                       "truncated: no directory, as if its writer had not finished it");
    if (directory >= source->size)
        return ps_fail(error, PS_E_INPUT,
                       "truncated: its directory begins at byte %" PRIu64
                       ", but the file ends at byte %" PRIu64,
                       directory, source->size);
    return 0;
}

static int read_tiff(const struct ps_source *source, const struct ps_read_options *options,
                     struct ps_micrograph **ret_micrograph, struct ps_error *error)
{
    int code = check_header(source, error);
    if (code)
        return code;
    struct ps_tiff_client client = {.source = source};
    TIFF *tif = ps_tiff_client_open(&client);
    if (!tif)
        return ps_tiff_client_fail(&client, "page 1", error);
    struct ps_micrograph *micrograph = NULL;
    code = read_open(tif, &client, options, &micrograph, error);
    TIFFClose(tif);
    /* After a failed read the file can look like another one, with fewer pages or without a tag. */
    if (client.io.code)
        code = ps_fail(error, client.io.code, "%s", client.io.message);
    if (code)
        ps_micrograph_free(micrograph);
    else
        *ret_micrograph = micrograph;
    return code;
}

/* True if every page and its data lie inside the file. */
static bool pages_whole(TIFF *tif, struct ps_tiff_client *client)
{
    for (uint32_t number = 1; number <= MAX_PAGES; number++) {
        struct ps_error ignored;
        if (client->past_end || ps_tiff_page_end(tif) > client->source->size)
            return false;
        if (TIFFLastDirectory(tif))
            return check_last_link(tif, client, &ignored) == 0;
        if (!TIFFReadDirectory(tif))
            return !client->past_end;
    }
    return true;
}

static int whole(const struct ps_source *source, bool *ret_whole, struct ps_error *error)
{
    struct ps_tiff_client client = {.source = source};
    struct ps_error ignored;
    bool result = false;
    if (check_header(source, &ignored) == 0) {
        TIFF *tif = ps_tiff_client_open(&client);
        result = tif ? pages_whole(tif, &client) : !client.past_end;
        if (tif)
            TIFFClose(tif);
    }
    if (client.io.code)
        return ps_fail(error, client.io.code, "%s", client.io.message);
    *ret_whole = result;
    return 0;
}

const struct ps_reader ps_reader_tiff = {
    .format = "tiff", .probe = probe, .read = read_tiff, .whole = whole};
