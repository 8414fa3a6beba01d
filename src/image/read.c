/* Opens a file, finds its reader, and adds the path to error messages.
 *
 * The probe list decides by content, never by the file's name. TIFF comes first because it has a
 * magic number; not all programs write the one of MRC, so its probe checks whether numbers are
 * plausible. For any other file the message names its format if the magic number is well known.
 */
#include "image/reader.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TAIL_BYTES = 4096 }; /* a page: an unwritten part of a file is zero up to its end */

static const struct ps_reader *const readers[] = {&ps_reader_tiff, &ps_reader_mrc};

static const struct {
    const char *name;
    size_t length;
    unsigned char magic[8];
} foreign[] = {
    {"a JPEG image", 3, {0xff, 0xd8, 0xff}},
    {"a PNG image", 8, {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'}},
    {"an HDF5 file", 8, {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'}},
    {"gzip compressed data", 2, {0x1f, 0x8b}},
    {"bzip2 compressed data", 3, {'B', 'Z', 'h'}},
    {"zstd compressed data", 4, {0x28, 0xb5, 0x2f, 0xfd}},
    {"a DM3 file", 4, {0, 0, 0, 3}},
    {"a DM4 file", 4, {0, 0, 0, 4}},
};

static bool all_zero(const unsigned char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (bytes[i])
            return false;
    return true;
}

static int fail_foreign(const unsigned char *head, size_t length, struct ps_error *error)
{
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (length >= foreign[i].length && !memcmp(head, foreign[i].magic, foreign[i].length))
            return ps_fail(error, PS_E_INPUT, "neither MRC nor TIFF: it is %s", foreign[i].name);

    size_t printable = 0;
    for (size_t i = 0; i < length; i++)
        printable += (head[i] >= ' ' && head[i] < 0x7f) || (head[i] >= '\t' && head[i] <= '\r');
    if (all_zero(head, length))
        return ps_fail(error, PS_E_INPUT,
                       "neither MRC nor TIFF: its first %zu bytes are all zero, as if it were not "
                       "written yet",
                       length);
    if (printable == length)
        return ps_fail(error, PS_E_INPUT, "neither MRC nor TIFF: it is text");
    return ps_fail(error, PS_E_INPUT,
                   "neither MRC nor TIFF: it begins with the bytes %02x %02x %02x %02x", head[0],
                   length > 1 ? head[1] : 0, length > 2 ? head[2] : 0, length > 3 ? head[3] : 0);
}

/* The first bytes of a source, and its reader. */
struct head {
    unsigned char bytes[PS_HEAD_BYTES];
    size_t length;
    const struct ps_reader *reader; /* NULL: none */
};

static int read_head(const struct ps_source *source, struct head *ret_head, struct ps_error *error)
{
    const size_t most = sizeof ret_head->bytes;
    ret_head->length = source->size < most ? (size_t)source->size : most;
    ret_head->reader = NULL;
    int code = source->read_at(source, 0, ret_head->bytes, ret_head->length, error);
    for (size_t i = 0; i < sizeof readers / sizeof *readers && !code && !ret_head->reader; i++)
        if (readers[i]->probe(ret_head->bytes, ret_head->length))
            ret_head->reader = readers[i];
    return code;
}

static int read_source(const struct ps_source *source, const struct ps_read_options *options,
                       struct ps_micrograph **ret_micrograph, struct ps_error *error)
{
    if (source->size == 0)
        return ps_fail(error, PS_E_INPUT, "an empty file, a micrograph expected");

    struct head head;
    int code = read_head(source, &head, error);
    if (code)
        return code;
    if (!head.reader)
        return fail_foreign(head.bytes, head.length, error);
    struct ps_micrograph *micrograph;
    code = head.reader->read(source, options, &micrograph, error);
    if (code)
        return code;
    micrograph->bytes = source->size;
    *ret_micrograph = micrograph;
    return 0;
}

static int find_extent(const struct ps_source *source, enum ps_extent *ret_extent,
                       struct ps_error *error)
{
    struct head head;
    int code = read_head(source, &head, error);
    if (code)
        return code;
    bool whole = head.length == sizeof head.bytes && !all_zero(head.bytes, head.length);
    if (head.reader)
        code = head.reader->whole(source, &whole, error);
    if (code)
        return code;
    if (!whole) {
        *ret_extent = PS_EXTENT_SHORT;
        return 0;
    }
    unsigned char tail[TAIL_BYTES];
    const size_t length = source->size < sizeof tail ? (size_t)source->size : sizeof tail;
    code = source->read_at(source, source->size - length, tail, length, error);
    if (!code)
        *ret_extent = all_zero(tail, length) ? PS_EXTENT_BLANK : PS_EXTENT_WHOLE;
    return code;
}

int ps_micrograph_parse(const void *bytes, size_t length, const struct ps_read_options *options,
                        struct ps_micrograph **ret_micrograph, struct ps_error *error)
{
    struct ps_source source;
    ps_source_memory(bytes, length, &source);
    return read_source(&source, options, ret_micrograph, error);
}

/* Translates an errno of open() into a message for a user. */
static int fail_open(const char *path, int number, struct ps_error *error)
{
    struct stat status;
    switch (number) {
    case ENOENT:
        if (lstat(path, &status) == 0 && S_ISLNK(status.st_mode))
            return ps_fail(error, PS_E_INPUT, "a dangling link: what it points to does not exist");
        return ps_fail(error, PS_E_INPUT, "no such file");
    case ENXIO:
        return ps_fail(error, PS_E_INPUT, "not a regular file but a special file");
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
        return ps_fail(error, PS_E_INPUT, "cannot open: %s", strerror(number));
    case EACCES:
    case EPERM:
        return ps_fail(error, PS_E_SYSTEM, PS_REASON_NO_PERMISSION);
    default:
        return ps_fail(error, PS_E_SYSTEM, "cannot open: %s", strerror(number));
    }
}

/* Prepends the path to the message, shortened to its end if it is too long, and replaces control
 * characters. */
static void name_file(const char *path, struct ps_error *error)
{
    const size_t max_length = sizeof error->message * 5 / 8;
    size_t length = strlen(path);
    const char *shown = path;
    if (length > max_length) {
        shown = path + length - max_length;
        while ((*shown & 0xc0) == 0x80) /* the rest of a UTF-8 character */
            shown++;
    }
    ps_fail_prefix(error, "%s%s", shown == path ? "" : "...", shown);
    for (char *c = error->message; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
}

/* Opens a file as a source; the caller closes its descriptor. */
static int open_source(const char *path, struct ps_source *ret_source, struct ps_error *error)
{
    /* O_NONBLOCK: a pipe without a writer must not block; it has no effect on a file. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return fail_open(path, errno, error);
    int code = ps_source_file(fd, ret_source, error);
    if (code)
        close(fd);
    return code;
}

int ps_micrograph_read(const char *path, const struct ps_read_options *options,
                       struct ps_micrograph **ret_micrograph, struct ps_error *error)
{
    struct ps_error ignored;
    if (!error)
        error = &ignored;

    struct ps_source source;
    int code = open_source(path, &source, error);
    if (!code) {
        code = read_source(&source, options, ret_micrograph, error);
        close(source.fd);
    }
    if (code)
        name_file(path, error);
    return code;
}

int ps_micrograph_extent(const char *path, enum ps_extent *ret_extent, struct ps_error *error)
{
    struct ps_error ignored;
    if (!error)
        error = &ignored;

    struct ps_source source;
    int code = open_source(path, &source, error);
    if (!code) {
        code = find_extent(&source, ret_extent, error);
        close(source.fd);
    }
    if (code)
        name_file(path, error);
    return code;
}
