/* MRC and CCP4 files (MRC2014, Cheng et al., J. Struct. Biol. 192 (2015) 146-150; IMOD's additions
 * from its mrc_format.txt).
 *
 *     offset 0    header, 1024 bytes
 *     1024        extended header, nsymbt bytes
 *     then        nz sections of ny rows of nx pixels
 *
 * Programs disagree about nearly every other field. The rules of this reader:
 *  - Byte order: the one in which more of nx, ny, nz and mode are plausible. The machine stamp is
 *    often wrong, and decides only a tie.
 *  - Mode 0 is signed (MRC2014). IMOD marks its files with imodStamp; then imodFlags bit 0 means
 *    signed bytes, and unsigned ones if it is clear, as before IMOD 4.2.23. Bit 4 means that a byte
 *    holds two 4-bit pixels, so that a row has 2 nx pixels.
 *  - Mode 101: two 4-bit pixels a byte, the low half first, rows padded to whole bytes.
 *  - The length of the file must agree with the header. Extra bytes give a warning, as in RELION
 * and mrcfile, unless they show that nz or nsymbt is wrong.
 *  - Several sections are frames of a movie unless the space group makes them a volume.
 */
#include "image/reader.h"

#include "base/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SIDE_END = 1 << 20, /* above any side; detects a number in the other byte order */
    IMOD_STAMP = 1146047817,
    IMOD_SIGNED = 1,
    IMOD_NIBBLES = 16,
};

enum offset { /* in the header */
              NX = 0,
              NY = 4,
              NZ = 8,
              MODE = 12,
              MX = 28,
              MZ = 36,
              CELL_X = 40,
              ISPG = 88,
              NSYMBT = 92,
              EXTTYP = 104,
              IMODSTAMP = 152,
              IMODFLAGS = 156,
              MAP = 208,
              MACHST = 212,
};

/* The known modes; bits 0: not used for micrographs. */
static const struct mode {
    int number;
    unsigned bits;
    enum ps_pixel type; /* in memory */
    const char *name;
} modes[] = {
    {0, 8, PS_PIXEL_I8, "8-bit integer"},         {1, 16, PS_PIXEL_I16, "16-bit integer"},
    {2, 32, PS_PIXEL_F32, "32-bit float"},        {3, 0, PS_PIXEL_F32, "complex 16-bit integer"},
    {4, 0, PS_PIXEL_F32, "complex 32-bit float"}, {6, 16, PS_PIXEL_U16, "unsigned 16-bit integer"},
    {12, 16, PS_PIXEL_F16, "16-bit float"},       {16, 0, PS_PIXEL_U8, "RGB colour"},
    {101, 4, PS_PIXEL_U8, "4-bit integer"},
};

struct layout {
    const struct mode *mode;
    bool swapped; /* the file's byte order is not this machine's */
    int width;
    int height;
    int frames;
    unsigned bits; /* a pixel, in the file */
    enum ps_pixel type;
    uint64_t frame_bytes;
    uint64_t data_offset;
};

static const struct mode *find_mode(int32_t number)
{
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (modes[i].number == number)
            return &modes[i];
    return NULL;
}

static int32_t get_int(const unsigned char *head, enum offset offset, bool swapped)
{
    uint32_t value;
    memcpy(&value, head + offset, sizeof value);
    if (swapped)
        value = __builtin_bswap32(value);
    return (int32_t)value;
}

static float get_float(const unsigned char *head, size_t offset, bool swapped)
{
    int32_t bits = get_int(head, (enum offset)offset, swapped);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static bool side_sane(int32_t n)
{
    return n > 0 && n < SIDE_END;
}

/* Counts how many of nx, ny, nz and mode are plausible. */
static int sane_count(const unsigned char *head, bool swapped)
{
    return side_sane(get_int(head, NX, swapped)) + side_sane(get_int(head, NY, swapped)) +
           side_sane(get_int(head, NZ, swapped)) +
           (find_mode(get_int(head, MODE, swapped)) != NULL);
}

static bool is_swapped(const unsigned char *head)
{
    int native = sane_count(head, false), swapped = sane_count(head, true);
    if (native != swapped)
        return swapped > native;
    bool big_endian_file = head[MACHST] == 0x11;
    bool stamped = big_endian_file || head[MACHST] == 0x44;
    return stamped && big_endian_file != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
}

static bool probe(const unsigned char *head, size_t length)
{
    if (length >= MAP + 4 && !memcmp(head + MAP, "MAP ", 4))
        return true;
    return length >= MODE + 4 && (sane_count(head, false) >= 3 || sane_count(head, true) >= 3);
}

static int check_volume(const unsigned char *head, const struct layout *layout,
                        struct ps_error *error)
{
    int32_t ispg = get_int(head, ISPG, layout->swapped);
    int32_t mz = get_int(head, MZ, layout->swapped);
    bool volume = layout->frames > 1 && ispg >= 1 && mz == layout->frames;
    bool volumes = ispg > 400 && ispg <= 630; /* 400 + the space group of each */
    if (volume || volumes)
        return ps_fail(error, PS_E_INPUT,
                       "a volume of %d sections (space group %d), a micrograph expected",
                       layout->frames, ispg);
    return 0;
}

/* True if the header describes an extended header although nsymbt is 0. */
static bool extended_header_named(const unsigned char *head)
{
    static const char names[][5] = {"CCP4", "MRCO", "SERI", "AGAR", "FEI1", "FEI2", "HDF5"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!memcmp(head + EXTTYP, names[i], 4))
            return true;
    return false;
}

/* Compares the length that the header predicts with that of the file. */
static int check_length(const unsigned char *head, const struct layout *layout, uint64_t size,
                        uint64_t *ret_surplus, struct ps_error *error)
{
    const uint64_t data = layout->frame_bytes * (uint64_t)layout->frames;
    const uint64_t after = size - PS_HEAD_BYTES;
    const uint64_t nsymbt = layout->data_offset - PS_HEAD_BYTES;

    if (nsymbt && nsymbt + data > after && data == after)
        return ps_fail(error, PS_E_INPUT,
                       "wrong nsymbt: it says %" PRIu64 " bytes of extended header, but header and "
                       "pixels alone are the %" PRIu64 " bytes of the file",
                       nsymbt, size);
    if (nsymbt > after)
        return ps_fail(error, PS_E_INPUT,
                       "%s: %" PRIu64 " bytes of extended header according to nsymbt, but only "
                       "%" PRIu64 " bytes follow the header",
                       data <= after ? "wrong nsymbt" : "truncated, or nsymbt is wrong", nsymbt,
                       after);
    if (nsymbt + data > after) {
        char frames[32] = "";
        if (layout->frames > 1)
            snprintf(frames, sizeof frames, "%d frames of ", layout->frames);
        return ps_fail(error, PS_E_INPUT,
                       "truncated: %" PRIu64 " bytes of pixel data, %" PRIu64
                       " expected from %s%d x %d px of mode %d",
                       after - nsymbt, data, frames, layout->width, layout->height,
                       layout->mode->number);
    }

    const uint64_t surplus = after - nsymbt - data;
    if (surplus && surplus % layout->frame_bytes == 0)
        return ps_fail(error, PS_E_INPUT,
                       "corrupt header: nz says %d, but the length of the file fits %" PRIu64
                       " frames of %d x %d px of mode %d",
                       layout->frames, (after - nsymbt) / layout->frame_bytes, layout->width,
                       layout->height, layout->mode->number);
    if (surplus && nsymbt == 0 && extended_header_named(head))
        return ps_fail(error, PS_E_INPUT,
                       "wrong nsymbt: it says 0, but the file is %" PRIu64 " bytes longer than "
                       "header and pixels and names an extended header (%.4s)",
                       surplus, (const char *)head + EXTTYP);
    *ret_surplus = surplus;
    return 0;
}

static int read_layout(const unsigned char *head, struct layout *ret, struct ps_error *error)
{
    struct layout layout = {.swapped = is_swapped(head)};
    const int32_t nx = get_int(head, NX, layout.swapped);
    const int32_t ny = get_int(head, NY, layout.swapped);
    const int32_t nz = get_int(head, NZ, layout.swapped);
    const int32_t mode = get_int(head, MODE, layout.swapped);
    const int32_t nsymbt = get_int(head, NSYMBT, layout.swapped);

    layout.mode = find_mode(mode);
    if (!layout.mode)
        return ps_fail(
            error, PS_E_INPUT,
            "corrupt header: mode %d is not an MRC mode (0, 1, 2, 6, 12 or 101 expected)", mode);
    if (!side_sane(nx) || !side_sane(ny) || !side_sane(nz))
        return ps_fail(error, PS_E_INPUT,
                       "corrupt header: nx = %d, ny = %d, nz = %d (1 to %d expected of each)", nx,
                       ny, nz, SIDE_END - 1);
    if (!layout.mode->bits)
        return ps_fail(error, PS_E_INPUT,
                       "mode %d (%s) is not used for micrographs: 0, 1, 2, 6, 12 or 101 expected",
                       mode, layout.mode->name);
    if (nsymbt < 0)
        return ps_fail(error, PS_E_INPUT,
                       "wrong nsymbt: %d, the length of the extended header expected", nsymbt);

    layout.width = nx;
    layout.height = ny;
    layout.frames = nz;
    layout.bits = layout.mode->bits;
    layout.type = layout.mode->type;
    if (mode == 0 && get_int(head, IMODSTAMP, layout.swapped) == IMOD_STAMP) {
        const int32_t flags = get_int(head, IMODFLAGS, layout.swapped);
        if (flags & IMOD_NIBBLES) {
            layout.width = 2 * nx;
            layout.bits = 4;
        }
        if ((flags & IMOD_NIBBLES) || !(flags & IMOD_SIGNED))
            layout.type = PS_PIXEL_U8;
    }
    /* Below 2^43, and 2^63 with all frames. */
    layout.frame_bytes = ((uint64_t)layout.width * layout.bits + 7) / 8 * (uint64_t)ny;
    layout.data_offset = PS_HEAD_BYTES + (uint64_t)nsymbt;
    *ret = layout;
    return 0;
}

/* The pixel size: length of the cell divided by its intervals, if both are plausible. A pixel size
 * of exactly 1 with intervals that differ from the columns is an unset default. */
static void set_pixel_size(const unsigned char *head, const struct layout *layout,
                           struct ps_micrograph *micrograph)
{
    double size[2];
    for (unsigned i = 0; i < 2; i++) {
        double cell = get_float(head, CELL_X + 4 * i, layout->swapped);
        int32_t intervals = get_int(head, (enum offset)(MX + 4 * i), layout->swapped);
        size[i] = intervals > 0 ? ps_pixel_size_sane(cell / intervals) : 0;
    }
    if (size[0] == 1 && get_int(head, MX, layout->swapped) != get_int(head, NX, layout->swapped))
        return;
    double difference = size[0] > size[1] ? size[0] - size[1] : size[1] - size[0];
    if (size[0] != 0 && size[1] != 0 && difference > 0.01 * size[0])
        ps_micrograph_warn(micrograph, "pixel size unknown: %.4g A along x, %.4g A along y",
                           size[0], size[1]);
    else
        micrograph->image.pixel_size = size[0];
}

static void swap_bytes(void *pixels, unsigned bits, size_t count)
{
    if (bits == 16) {
        uint16_t *p = pixels;
        for (size_t i = 0; i < count; i++)
            p[i] = __builtin_bswap16(p[i]);
    } else if (bits == 32) {
        uint32_t *p = pixels;
        for (size_t i = 0; i < count; i++)
            p[i] = __builtin_bswap32(p[i]);
    }
}

static void unpack_nibbles(const unsigned char *packed, const struct layout *layout,
                           unsigned char *pixels)
{
    const size_t width = (size_t)layout->width, row_bytes = (width + 1) / 2;
    for (size_t y = 0; y < (size_t)layout->height; y++) {
        const unsigned char *from = packed + y * row_bytes;
        unsigned char *to = pixels + y * width;
        for (size_t x = 0; x < width; x++)
            to[x] = (unsigned char)(from[x / 2] >> (x % 2 ? 4 : 0)) & 15;
    }
}

/* Reads frame `index` into `pixels`, which are of layout->type. */
static int read_frame(const struct ps_source *source, const struct layout *layout, int index,
                      void *pixels, struct ps_error *error)
{
    const uint64_t offset = layout->data_offset + (uint64_t)index * layout->frame_bytes;
    const size_t bytes = (size_t)layout->frame_bytes;
    if (layout->bits == 4) {
        unsigned char *packed = malloc(bytes);
        if (!packed)
            return ps_fail_memory(error, bytes, "4-bit pixels");
        int code = source->read_at(source, offset, packed, bytes, error);
        if (!code)
            unpack_nibbles(packed, layout, pixels);
        free(packed);
        return code;
    }
    int code = source->read_at(source, offset, pixels, bytes, error);
    if (!code && layout->swapped)
        swap_bytes(pixels, layout->bits, bytes / (layout->bits / 8));
    return code;
}

static int sum_frames(const struct ps_source *source, const struct layout *layout, float *sums,
                      struct ps_error *error)
{
    const size_t count = (size_t)layout->width * (size_t)layout->height;
    const size_t bytes = count * ps_pixel_bytes(layout->type);
    void *frame = malloc(bytes);
    if (!frame)
        return ps_fail_memory(error, bytes, "a frame of a movie");
    memset(sums, 0, count * sizeof *sums);
    int code = 0;
    for (int i = 0; i < layout->frames && !code; i++) {
        code = read_frame(source, layout, i, frame, error);
        if (!code)
            ps_pixels_add(frame, layout->type, count, sums);
    }
    free(frame);
    return code;
}

static int read_mrc(const struct ps_source *source, const struct ps_read_options *options,
                    struct ps_micrograph **ret_micrograph, struct ps_error *error)
{
    if (source->size < PS_HEAD_BYTES)
        return ps_fail(error, PS_E_INPUT,
                       "truncated: %" PRIu64 " bytes, the header of an MRC file has %d",
                       source->size, PS_HEAD_BYTES);
    unsigned char head[PS_HEAD_BYTES];
    struct layout layout = {0};
    uint64_t surplus = 0;
    int code = source->read_at(source, 0, head, sizeof head, error);
    if (!code)
        code = read_layout(head, &layout, error);
    if (!code)
        code = check_volume(head, &layout, error);
    if (!code)
        code = check_length(head, &layout, source->size, &surplus, error);
    if (!code)
        code = ps_movie_check((uint64_t)layout.frames, options, error);
    if (!code)
        code = ps_frame_check((uint64_t)layout.width, (uint64_t)layout.height, options, error);
    if (code)
        return code;

    struct ps_micrograph *micrograph;
    code = ps_micrograph_new("mrc", layout.width, layout.height,
                             layout.frames > 1 ? PS_PIXEL_F32 : layout.type, &micrograph, error);
    if (code)
        return code;
    micrograph->mode = layout.mode->number;
    micrograph->frames = layout.frames;
    set_pixel_size(head, &layout, micrograph);
    code = ps_micrograph_allocate(micrograph, options, error);
    if (code)
        return code;
    if (surplus)
        ps_micrograph_warn(micrograph, "%" PRIu64 " bytes after the pixel data ignored", surplus);

    if (layout.frames > 1)
        code = sum_frames(source, &layout, micrograph->pixels, error);
    else
        code = read_frame(source, &layout, 0, micrograph->pixels, error);
    if (code) {
        ps_micrograph_free(micrograph);
        return code;
    }
    *ret_micrograph = micrograph;
    return 0;
}

/* An invalid header counts as whole: waiting does not repair it. If nsymbt is too large, a complete
 * file looks short. That cannot be detected while the file might grow: a file of just header and
 * pixels can still be on its way to the length with an extended header. The service then waits as
 * for any truncated file (settle.h), and reports the error late rather than for a good file. */
static int whole(const struct ps_source *source, bool *ret_whole, struct ps_error *error)
{
    unsigned char head[PS_HEAD_BYTES];
    struct layout layout;
    struct ps_error nonsense;
    if (source->size < sizeof head) {
        *ret_whole = false;
        return 0;
    }
    int code = source->read_at(source, 0, head, sizeof head, error);
    if (code)
        return code;
    *ret_whole = read_layout(head, &layout, &nonsense) ||
                 layout.data_offset + layout.frame_bytes * (uint64_t)layout.frames <= source->size;
    return 0;
}

const struct ps_reader ps_reader_mrc = {
    .format = "mrc", .probe = probe, .read = read_mrc, .whole = whole};
