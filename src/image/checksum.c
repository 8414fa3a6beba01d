#include "image/checksum.h"

#include "image/reader.h"

#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>
#include <zlib.h>

static const int64_t KNOWN = (int64_t)1 << 32; /* so that no checksum is 0 */

/* Continues a checksum with a range of the source. */
static bool add_range(const struct ps_source *source, uint64_t offset, uint64_t length, uLong *sum)
{
    unsigned char bytes[PS_CHECKSUM_BLOCK_BYTES];
    while (length > 0) {
        const size_t part = length < sizeof bytes ? (size_t)length : sizeof bytes;
        if (source->read_at(source, offset, bytes, part, NULL))
            return false;
        *sum = crc32(*sum, bytes, (uInt)part);
        offset += part;
        length -= part;
    }
    return true;
}

static bool add_sample(const struct ps_source *source, uLong *sum)
{
    const uint64_t end = PS_CHECKSUM_END_BYTES;
    const uint64_t block = PS_CHECKSUM_BLOCK_BYTES;
    if (source->size <= 2 * end + PS_CHECKSUM_BLOCKS * block)
        return add_range(source, 0, source->size, sum);
    const uint64_t stride = (source->size - 2 * end) / PS_CHECKSUM_BLOCKS;
    bool good = add_range(source, 0, end, sum);
    for (uint64_t i = 0; good && i < PS_CHECKSUM_BLOCKS; i++)
        good = add_range(source, end + i * stride, block, sum);
    return good && add_range(source, source->size - end, end, sum);
}

int64_t ps_file_checksum(const char *path)
{
    struct ps_source source;
    uLong sum = crc32(0, NULL, 0);
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return 0;
    const bool good = ps_source_file(fd, &source, NULL) == 0 && add_sample(&source, &sum);
    (void)close(fd);
    return good ? KNOWN | (int64_t)sum : 0;
}
