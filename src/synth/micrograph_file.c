#include "base/atomic_file.h"
#include "image/micrograph.h"
#include "image/mrc_header.h"
#include "synth/micrograph_file.h"

#include <endian.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <tiffio.h>
#include <unistd.h>

const char *ps_container_extension(enum ps_container container)
{
    return container == PS_CONTAINER_MRC ? ".mrc" : ".tiff";
}

static double to_integer(float value, double low, double high)
{
    return isnan(value) ? 0 : fmin(fmax(rint((double)value), low), high);
}

/* ---- MRC ----------------------------------------------------------------------------------------
 */

/* Stores one pixel at `out` and returns its value as stored. */
static float store_mrc_pixel(uint8_t *out, int mode, float value)
{
    if (mode == 2) {
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        bits = htole32(bits);
        memcpy(out, &bits, sizeof bits);
        return value;
    }
    uint16_t bits;
    if (mode == 1) {
        int16_t integer = (int16_t)to_integer(value, INT16_MIN, INT16_MAX);
        bits = (uint16_t)integer;
        value = integer;
    } else {
        bits = ps_float_to_half(value);
        value = ps_half_to_float(bits);
    }
    bits = htole16(bits);
    memcpy(out, &bits, sizeof bits);
    return value;
}

static int encode_mrc(const struct ps_file_format *format, const float *pixels, int width,
                      int height, uint8_t **ret_bytes, size_t *ret_length, struct ps_error *error)
{
    if (format->mode != 1 && format->mode != 2 && format->mode != 12)
        return ps_fail(error, PS_E_CONFIG, "MRC files are written in mode 1, 2 or 12, not %d",
                       format->mode);
    size_t count = (size_t)width * (size_t)height, size = format->mode == 2 ? 4 : 2;
    size_t length = PS_MRC_HEADER_BYTES + count * size;
    uint8_t *bytes = malloc(length);
    if (!bytes)
        return ps_fail_memory(error, length, "an MRC file");

    struct ps_mrc_header header = {
        .width = width,
        .height = height,
        .sections = 1,
        .mode = format->mode,
        .pixel_size = format->pixel_size,
        .low = INFINITY,
        .high = -INFINITY,
    };
    double sum = 0, sum2 = 0, pivot = pixels[0]; /* a value near the mean: no cancellation */
    for (size_t i = 0; i < count; i++) {
        float value =
            store_mrc_pixel(bytes + PS_MRC_HEADER_BYTES + i * size, format->mode, pixels[i]);
        header.low = fmin(header.low, value);
        header.high = fmax(header.high, value);
        sum += value - pivot;
        sum2 += (value - pivot) * (value - pivot);
    }
    sum /= (double)count;
    header.mean = pivot + sum;
    header.deviation = sqrt(fmax(0, sum2 / (double)count - sum * sum));
    ps_mrc_header_fill(&header, bytes);
    *ret_bytes = bytes;
    *ret_length = length;
    return 0;
}

/* ---- TIFF ---------------------------------------------------------------------------------------
 */

/* Redirects libtiff's messages from stderr to the ps_error. */
static int take_message(TIFF *tiff, void *error, const char *module, const char *format,
                        va_list arguments) __attribute__((format(printf, 4, 0)));
static int take_message(TIFF *tiff, void *error, const char *module, const char *format,
                        va_list arguments)
{
    char message[256];
    (void)tiff;
    (void)module;
    vsnprintf(message, sizeof message, format, arguments);
    ps_error_set(error, PS_E_SYSTEM, "cannot write TIFF: %s", message);
    return 1;
}

static bool write_tiff_rows(TIFF *tiff, const struct ps_file_format *format, const float *pixels,
                            int width, int height, void *row)
{
    for (int line = 0; line < height; line++) {
        const float *in = pixels + (size_t)(height - 1 - line) * (size_t)width;
        if (format->mode == 1)
            for (int x = 0; x < width; x++)
                ((uint16_t *)row)[x] = (uint16_t)to_integer(in[x], 0, UINT16_MAX);
        else
            memcpy(row, in, (size_t)width * sizeof *in); /* libtiff may swap bytes in place */
        if (TIFFWriteScanline(tiff, row, (uint32_t)line, 0) < 0)
            return false;
    }
    return true;
}

static bool write_tiff(TIFF *tiff, const struct ps_file_format *format, const float *pixels,
                       int width, int height, void *row)
{
    bool integers = format->mode == 1;
    bool ok = TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, (uint32_t)width) &&
              TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, (uint32_t)height) &&
              TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, integers ? 16 : 32) &&
              TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, 1) &&
              TIFFSetField(tiff, TIFFTAG_SAMPLEFORMAT,
                           integers ? SAMPLEFORMAT_UINT : SAMPLEFORMAT_IEEEFP) &&
              TIFFSetField(tiff, TIFFTAG_COMPRESSION, COMPRESSION_NONE) &&
              TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK) &&
              TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG) &&
              TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, TIFFDefaultStripSize(tiff, 0)) &&
              TIFFSetField(tiff, TIFFTAG_SOFTWARE, "pickstream");
    if (ok && format->pixel_size > 0) {
        double per_centimetre = 1e8 / format->pixel_size;
        ok = TIFFSetField(tiff, TIFFTAG_RESOLUTIONUNIT, RESUNIT_CENTIMETER) &&
             TIFFSetField(tiff, TIFFTAG_XRESOLUTION, per_centimetre) &&
             TIFFSetField(tiff, TIFFTAG_YRESOLUTION, per_centimetre);
    }
    return ok && write_tiff_rows(tiff, format, pixels, width, height, row);
}

/* Reads a whole file into memory. */
static int read_back(int fd, uint8_t **ret_bytes, size_t *ret_length, struct ps_error *error)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return ps_fail(error, PS_E_SYSTEM, "cannot read the TIFF back: %s", strerror(errno));
    size_t length = (size_t)status.st_size, done = 0;
    uint8_t *bytes = malloc(length);
    if (!bytes)
        return ps_fail_memory(error, length, "a TIFF file");
    while (done < length) {
        ssize_t got = pread(fd, bytes + done, length - done, (off_t)done);
        if (got <= 0) {
            free(bytes);
            return ps_fail(error, PS_E_SYSTEM, "cannot read the TIFF back: %s", strerror(errno));
        }
        done += (size_t)got;
    }
    *ret_bytes = bytes;
    *ret_length = length;
    return 0;
}

/* libtiff needs a file: an anonymous one in memory. */
static int encode_tiff(const struct ps_file_format *format, const float *pixels, int width,
                       int height, uint8_t **ret_bytes, size_t *ret_length, struct ps_error *error)
{
    if (format->mode != 1 && format->mode != 2)
        return ps_fail(error, PS_E_CONFIG, "TIFF files are written in mode 1 or 2, not %d",
                       format->mode);
    int fd = memfd_create("pickstream-tiff", MFD_CLOEXEC);
    if (fd < 0)
        return ps_fail(error, PS_E_SYSTEM, "cannot make a file in memory: %s", strerror(errno));
    struct ps_error local = {.code = PS_E_SYSTEM, .message = "cannot write TIFF"};
    int code = PS_E_SYSTEM;
    void *row = calloc((size_t)width, sizeof *pixels);
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    TIFF *tiff = NULL;
    if (row && options) {
        TIFFOpenOptionsSetErrorHandlerExtR(options, take_message, &local);
        tiff = TIFFFdOpenExt(fd, "memory", "w", options);
    }
    if (tiff) {
        bool ok = write_tiff(tiff, format, pixels, width, height, row) && TIFFFlush(tiff);
        if (ok)
            code = read_back(fd, ret_bytes, ret_length, &local);
        TIFFClose(tiff); /* closes fd too */
    } else {
        close(fd);
    }
    TIFFOpenOptionsFree(options);
    free(row);
    return code < 0 ? ps_fail(error, local.code, "%s", local.message) : 0;
}

/* ---- both formats -------------------------------------------------------------------------------
 */

int ps_micrograph_encode(const struct ps_file_format *format, const float *pixels, int width,
                         int height, uint8_t **ret_bytes, size_t *ret_length,
                         struct ps_error *error)
{
    return format->container == PS_CONTAINER_MRC
               ? encode_mrc(format, pixels, width, height, ret_bytes, ret_length, error)
               : encode_tiff(format, pixels, width, height, ret_bytes, ret_length, error);
}

struct content {
    const uint8_t *bytes;
    size_t length;
};

/* A ps_file_writer. */
static int write_content(FILE *stream, const void *context, struct ps_error *error)
{
    const struct content *content = context;
    (void)error;
    (void)fwrite(content->bytes, 1, content->length, stream);
    return 0;
}

int ps_micrograph_write(const char *path, const struct ps_file_format *format, const float *pixels,
                        int width, int height, struct ps_error *error)
{
    uint8_t *bytes = NULL;
    size_t length = 0;
    int code = ps_micrograph_encode(format, pixels, width, height, &bytes, &length, error);
    if (code)
        return code;
    const struct content content = {bytes, length};
    code = ps_file_write_atomically(path, write_content, &content, error);
    free(bytes);
    return code;
}
