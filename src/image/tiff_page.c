/* Pages of TIFFs: which can be read, where their pixels are, and how samples are converted.
 *
 *  - Only the compressions in a list are accepted, so that untrusted files do not reach codecs that
 *    are lossy or rarely tested.
 *  - 32-bit integers and 64-bit floats become float32, other samples keep their type. 4-bit samples
 *    become bytes; the high half of a byte comes first, as in TIFF 6.0.
 *  - SerialEM packs two 4-bit pixels of super-resolution frames in a byte, the low half first, in
 *    files with 8 bits and half the width in their tags. They are recognised only by their size: no
 *    camera has 8-bit images of that size. IMOD, RELION and cisTEM do the same.
 *  - Values are used as stored: MINISWHITE is not inverted, as in RELION.
 */
#include "image/tiff_page.h"

#include "base/error.h"
#include "image/reader.h"

#include <inttypes.h>
#include <string.h>

static const struct {
    unsigned number;
    bool accepted;
    const char *name;
} compressions[] = {
    {COMPRESSION_NONE, true, "none"},
    {COMPRESSION_LZW, true, "LZW"},
    {COMPRESSION_ADOBE_DEFLATE, true, "deflate"},
    {COMPRESSION_DEFLATE, true, "deflate, old number"},
    {COMPRESSION_PACKBITS, true, "PackBits"},
    {COMPRESSION_ZSTD, true, "zstd"},
    {COMPRESSION_CCITTRLE, false, "CCITT run length"},
    {COMPRESSION_CCITTFAX3, false, "CCITT fax 3"},
    {COMPRESSION_CCITTFAX4, false, "CCITT fax 4"},
    {COMPRESSION_OJPEG, false, "old JPEG"},
    {COMPRESSION_JPEG, false, "JPEG"},
    {COMPRESSION_JP2000, false, "JPEG 2000"},
    {COMPRESSION_JBIG, false, "JBIG"},
    {COMPRESSION_LERC, false, "LERC"},
    {COMPRESSION_LZMA, false, "LZMA"},
    {COMPRESSION_WEBP, false, "WebP"},
    {COMPRESSION_JXL, false, "JPEG XL"},
    {65000, false, "EER, 8 bits: electron events of a movie"},
    {65001, false, "EER, 7 bits: electron events of a movie"},
    {65002, false, "EER: electron events of a movie"},
};

bool ps_tiff_is_frame(TIFF *tif)
{
    uint32_t kind = 0;
    (void)TIFFGetField(tif, TIFFTAG_SUBFILETYPE, &kind);
    return !(kind & (FILETYPE_REDUCEDIMAGE | FILETYPE_MASK));
}

static int check_compression(uint16_t number, struct ps_error *error)
{
    const char *name = "unknown";
    for (size_t i = 0; i < sizeof compressions / sizeof *compressions; i++) {
        if (compressions[i].number != number)
            continue;
        if (compressions[i].accepted && TIFFIsCODECConfigured(number))
            return 0;
        name = compressions[i].name;
        if (compressions[i].accepted)
            return ps_fail(error, PS_E_INPUT,
                           "TIFF compression %u (%s) is missing from this build of libtiff", number,
                           name);
    }
    return ps_fail(error, PS_E_INPUT,
                   "TIFF compression %u (%s): none, LZW, deflate, PackBits or zstd expected",
                   number, name);
}

/* Chooses the type in memory for a sample in the file. */
static int choose_type(struct ps_tiff_page *page, struct ps_error *error)
{
    static const struct {
        uint16_t bits;
        uint16_t format;
        enum ps_pixel type;
    } types[] = {
        {4, SAMPLEFORMAT_UINT, PS_PIXEL_U8},     {8, SAMPLEFORMAT_UINT, PS_PIXEL_U8},
        {8, SAMPLEFORMAT_INT, PS_PIXEL_I8},      {16, SAMPLEFORMAT_UINT, PS_PIXEL_U16},
        {16, SAMPLEFORMAT_INT, PS_PIXEL_I16},    {16, SAMPLEFORMAT_IEEEFP, PS_PIXEL_F16},
        {32, SAMPLEFORMAT_UINT, PS_PIXEL_F32},   {32, SAMPLEFORMAT_INT, PS_PIXEL_F32},
        {32, SAMPLEFORMAT_IEEEFP, PS_PIXEL_F32}, {64, SAMPLEFORMAT_IEEEFP, PS_PIXEL_F32},
    };
    static const char *const names[] = {"?",         "unsigned",        "signed",       "float",
                                        "undefined", "complex integer", "complex float"};

    const uint16_t format =
        page->sample_format == SAMPLEFORMAT_VOID ? SAMPLEFORMAT_UINT : page->sample_format;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (types[i].bits == page->bits && types[i].format == format) {
            page->sample_format = format;
            page->type = types[i].type;
            return 0;
        }
    }
    return ps_fail(error, PS_E_INPUT,
                   "TIFF with %u-bit %s samples: 4, 8, 16 or 32-bit integer, or 16, 32 or 64-bit "
                   "float expected",
                   page->bits, names[format < sizeof names / sizeof *names ? format : 0]);
}

/* The pixel size in angstrom from the resolution tags; 0 if they are missing, invalid or unequal.
 */
static double get_pixel_size(TIFF *tif)
{
    float x = 0, y = 0;
    uint16_t unit = RESUNIT_INCH;
    (void)TIFFGetFieldDefaulted(tif, TIFFTAG_RESOLUTIONUNIT, &unit);
    if (!TIFFGetField(tif, TIFFTAG_XRESOLUTION, &x) || !(x > 0))
        return 0;
    if (TIFFGetField(tif, TIFFTAG_YRESOLUTION, &y) && !(y > 0.99F * x && y < 1.01F * x))
        return 0;
    switch (unit) {
    case RESUNIT_INCH:
        return ps_pixel_size_sane(2.54e8 / x);
    case RESUNIT_CENTIMETER:
        return ps_pixel_size_sane(1e8 / x);
    default:
        return 0;
    }
}

static int check_samples(TIFF *tif, struct ps_tiff_page *page, struct ps_error *error)
{
    uint16_t samples = 1;
    (void)TIFFGetFieldDefaulted(tif, TIFFTAG_SAMPLESPERPIXEL, &samples);
    page->photometric = PHOTOMETRIC_MINISBLACK;
    (void)TIFFGetField(tif, TIFFTAG_PHOTOMETRIC, &page->photometric);
    if (samples != 1 || page->photometric == PHOTOMETRIC_RGB)
        return ps_fail(error, PS_E_INPUT,
                       "TIFF with %u samples a pixel%s: 1, a grey value, expected", samples,
                       page->photometric == PHOTOMETRIC_RGB ? " (RGB colour)" : "");
    if (page->photometric == PHOTOMETRIC_PALETTE)
        return ps_fail(error, PS_E_INPUT, "TIFF with palette colours: grey values expected");
    return 0;
}

static bool is_packed(const struct ps_tiff_page *page)
{
    static const uint32_t sides[][2] = {{7676, 7420}, {7680, 7424}, {11520, 8184}}; /* K2, K3 */
    if (page->bits != 8 || page->sample_format != SAMPLEFORMAT_UINT || page->tiled)
        return false;
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        for (int k = 0; k < 2; k++)
            if (2 * page->width == sides[i][k] && page->height == sides[i][1 - k])
                return true;
    }
    return false;
}

int ps_tiff_page_inspect(TIFF *tif, const struct ps_read_options *options, struct ps_tiff_page *ret,
                         struct ps_error *error)
{
    struct ps_tiff_page page = {0};
    (void)TIFFGetFieldDefaulted(tif, TIFFTAG_COMPRESSION, &page.compression);
    (void)TIFFGetField(tif, TIFFTAG_IMAGEWIDTH, &page.width);
    (void)TIFFGetField(tif, TIFFTAG_IMAGELENGTH, &page.height);
    (void)TIFFGetFieldDefaulted(tif, TIFFTAG_BITSPERSAMPLE, &page.bits);
    (void)TIFFGetFieldDefaulted(tif, TIFFTAG_SAMPLEFORMAT, &page.sample_format);
    int code = check_compression(page.compression, error);
    if (!code)
        code = check_samples(tif, &page, error);
    if (!code)
        code = choose_type(&page, error);
    page.tiled = TIFFIsTiled(tif);
    page.packed = is_packed(&page);
    if (page.packed) {
        page.bits = 4;
        page.width *= 2;
    }
    if (!code)
        code = ps_frame_check(page.width, page.height, options, error);
    if (code)
        return code;

    if (page.tiled) {
        (void)TIFFGetField(tif, TIFFTAG_TILEWIDTH, &page.cell_width);
        (void)TIFFGetField(tif, TIFFTAG_TILELENGTH, &page.cell_height);
        page.cell_row_bytes = (size_t)TIFFTileRowSize64(tif);
        page.cells = TIFFNumberOfTiles(tif);
    } else {
        page.cell_width = page.width;
        (void)TIFFGetFieldDefaulted(tif, TIFFTAG_ROWSPERSTRIP, &page.cell_height);
        if (page.cell_height > page.height)
            page.cell_height = page.height;
        page.cell_row_bytes = (size_t)TIFFScanlineSize64(tif);
        page.cells = TIFFNumberOfStrips(tif);
    }
    /* A tile can be larger than its image, but not much larger than any image. */
    const uint64_t most = options->max_pixels > 1 << 20 ? options->max_pixels : 1 << 20;
    const uint64_t across = page.cell_width ? (page.width - 1) / page.cell_width + 1 : 0;
    const uint64_t down = page.cell_height ? (page.height - 1) / page.cell_height + 1 : 0;
    if (across == 0 || down == 0 || page.cell_width > most / page.cell_height ||
        page.cells != across * down ||
        page.cell_row_bytes != ((size_t)page.cell_width * page.bits + 7) / 8)
        return ps_fail(error, PS_E_INPUT, "damaged TIFF: its %ss do not cover the image",
                       ps_tiff_cell_name(&page));
    page.cell_bytes = page.cell_row_bytes * page.cell_height;
    page.pixel_size = get_pixel_size(tif);
    *ret = page;
    return 0;
}

const char *ps_tiff_cell_name(const struct ps_tiff_page *page)
{
    return page->tiled ? "tile" : "strip";
}

size_t ps_tiff_cell_bytes(const struct ps_tiff_page *page, uint32_t cell)
{
    if (page->tiled)
        return page->cell_bytes;
    const uint32_t left = page->height - cell * page->cell_height;
    return page->cell_row_bytes * (left < page->cell_height ? left : page->cell_height);
}

int ps_tiff_page_check_cells(TIFF *tif, const struct ps_tiff_page *page, uint64_t size,
                             struct ps_error *error)
{
    const char *kind = ps_tiff_cell_name(page);
    uint64_t total = 0; /* bytes when decoded */
    for (uint32_t i = 0; i < page->cells; i++) {
        const uint64_t offset = TIFFGetStrileOffset(tif, i);
        const uint64_t count = TIFFGetStrileByteCount(tif, i);
        if (offset == 0 || count == 0)
            return ps_fail(error, PS_E_INPUT,
                           "damaged TIFF: %s %" PRIu32 " of %" PRIu32 " is missing", kind, i + 1,
                           page->cells);
        if (offset > size || count > size - offset)
            return ps_fail(error, PS_E_INPUT,
                           "truncated: %s %" PRIu32 " of %" PRIu32 " has %" PRIu64
                           " bytes from byte %" PRIu64 ", but the file ends at byte %" PRIu64,
                           kind, i + 1, page->cells, count, offset, size);
        if (page->compression == COMPRESSION_NONE && count < ps_tiff_cell_bytes(page, i))
            return ps_fail(error, PS_E_INPUT,
                           "damaged TIFF: %s %" PRIu32 " of %" PRIu32 " has %" PRIu64
                           " bytes, %zu expected",
                           kind, i + 1, page->cells, count, ps_tiff_cell_bytes(page, i));
        total += ps_tiff_cell_bytes(page, i);
    }
    /* Cells can overlap in the file, and zstd has the highest compression: 128 KiB in 4 bytes. */
    if (total / (page->compression == COMPRESSION_NONE ? 1 : 32768) > size)
        return ps_fail(error, PS_E_INPUT,
                       "damaged TIFF: %" PRIu64 " bytes of pixels in a file of %" PRIu64 " bytes",
                       total, size);
    return 0;
}

uint64_t ps_tiff_page_end(TIFF *tif)
{
    const uint32_t cells = TIFFIsTiled(tif) ? TIFFNumberOfTiles(tif) : TIFFNumberOfStrips(tif);
    uint64_t end = 0;
    for (uint32_t i = 0; i < cells; i++) {
        const uint64_t offset = TIFFGetStrileOffset(tif, i);
        const uint64_t count = TIFFGetStrileByteCount(tif, i);
        if (offset == 0 || count == 0)
            break; /* damaged: the table can have fewer cells than the image needs */
        if (count > UINT64_MAX - offset)
            return UINT64_MAX;
        if (offset + count > end)
            end = offset + count;
    }
    return end;
}

void ps_tiff_convert(const struct ps_tiff_page *page, const void *samples, size_t count,
                     void *pixels)
{
    const unsigned char *nibbles = samples;
    const int32_t *ints = samples;
    const uint32_t *uints = samples;
    const double *doubles = samples;
    unsigned char *to_bytes = pixels;
    float *to_floats = pixels;

    if (page->bits == 4)
        for (size_t i = 0; i < count; i++)
            to_bytes[i] = (unsigned char)(nibbles[i / 2] >> (i % 2 == page->packed ? 4 : 0)) & 15;
    else if (page->bits == 64)
        for (size_t i = 0; i < count; i++)
            to_floats[i] = (float)doubles[i];
    else if (page->bits == 32 && page->sample_format == SAMPLEFORMAT_INT)
        for (size_t i = 0; i < count; i++)
            to_floats[i] = (float)ints[i];
    else if (page->bits == 32 && page->sample_format == SAMPLEFORMAT_UINT)
        for (size_t i = 0; i < count; i++)
            to_floats[i] = (float)uints[i];
    else
        memcpy(pixels, samples, count * ps_pixel_bytes(page->type));
}
