/* Sources: random access to the bytes of a file or buffer, with one error for a premature end.
 *
 * The length is determined once, when the source is made. If the file shrinks afterwards, a read
 * fails; if it grows, the new bytes are ignored.
 */
#include "image/reader.h"

#include "base/error.h"
#include "base/progress.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_PIECE_BYTES = 4 << 20 }; /* of one read, so that a slow file system shows progress */

static int fail_end(uint64_t end, uint64_t offset, size_t length, struct ps_error *error)
{
    return ps_fail(error, PS_E_INPUT,
                   "truncated: it ends at byte %" PRIu64 ", %zu bytes expected from byte %" PRIu64,
                   end, length, offset);
}

static int read_memory(const struct ps_source *source, uint64_t offset, void *buffer, size_t length,
                       struct ps_error *error)
{
    if (offset > source->size || length > source->size - offset)
        return fail_end(source->size, offset, length, error);
    if (length)
        memcpy(buffer, (const unsigned char *)source->bytes + offset, length);
    return 0;
}

static int read_file(const struct ps_source *source, uint64_t offset, void *buffer, size_t length,
                     struct ps_error *error)
{
    if (offset > source->size || length > source->size - offset)
        return fail_end(source->size, offset, length, error);
    for (size_t done = 0; done < length;) {
        const size_t left = length - done;
        ssize_t n = pread(source->fd, (unsigned char *)buffer + done,
                          left < MAX_PIECE_BYTES ? left : MAX_PIECE_BYTES, (off_t)(offset + done));
        ps_progress_tick();
        if (n > 0)
            done += (size_t)n;
        else if (n == 0)
            return fail_end(offset + done, offset, length, error);
        else if (errno != EINTR)
            return ps_fail(error, PS_E_SYSTEM, "cannot read: %s", strerror(errno));
    }
    return 0;
}

void ps_source_memory(const void *bytes, size_t length, struct ps_source *ret_source)
{
    *ret_source =
        (struct ps_source){.read_at = read_memory, .size = length, .bytes = bytes, .fd = -1};
}

int ps_source_file(int fd, struct ps_source *ret_source, struct ps_error *error)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return ps_fail(error, PS_E_SYSTEM, "cannot stat: %s", strerror(errno));
    if (S_ISDIR(status.st_mode))
        return ps_fail(error, PS_E_INPUT, "a directory, not a micrograph");
    if (!S_ISREG(status.st_mode))
        return ps_fail(error, PS_E_INPUT, "not a regular file but a %s",
                       S_ISFIFO(status.st_mode)  ? "pipe"
                       : S_ISCHR(status.st_mode) ? "character device"
                       : S_ISBLK(status.st_mode) ? "block device"
                                                 : "special file");
    *ret_source =
        (struct ps_source){.read_at = read_file, .size = (uint64_t)status.st_size, .fd = fd};
    return 0;
}
