#include "image/mrc_header.h"

#include <endian.h>
#include <string.h>

/* Words are numbered from 1, as in the standard. */
static void put_int(uint8_t *bytes, int word, int32_t value)
{
    uint32_t bits = htole32((uint32_t)value);
    memcpy(bytes + 4 * (word - 1), &bits, sizeof bits);
}

static void put_float(uint8_t *bytes, int word, double value)
{
    float single = (float)value;
    uint32_t bits;
    memcpy(&bits, &single, sizeof bits);
    put_int(bytes, word, (int32_t)bits);
}

void ps_mrc_header_fill(const struct ps_mrc_header *header, uint8_t *ret_bytes)
{
    static const char label[] = "pickstream";
    memset(ret_bytes, 0, PS_MRC_HEADER_BYTES);
    put_int(ret_bytes, 1, header->width);
    put_int(ret_bytes, 2, header->height);
    put_int(ret_bytes, 3, header->sections);
    put_int(ret_bytes, 4, header->mode);
    put_int(ret_bytes, 8, header->width); /* mx my mz; mz of a stack of images is 1 */
    put_int(ret_bytes, 9, header->height);
    put_int(ret_bytes, 10, 1);
    put_float(ret_bytes, 11, header->width * header->pixel_size); /* cella */
    put_float(ret_bytes, 12, header->height * header->pixel_size);
    put_float(ret_bytes, 13, header->pixel_size);
    for (int word = 14; word <= 16; word++)
        put_float(ret_bytes, word, 90); /* cellb */
    for (int axis = 1; axis <= 3; axis++)
        put_int(ret_bytes, 16 + axis, axis); /* mapc mapr maps */
    put_float(ret_bytes, 20, header->low);
    put_float(ret_bytes, 21, header->high);
    put_float(ret_bytes, 22, header->mean);
    put_int(ret_bytes, 28, 20140);         /* nversion */
    memcpy(ret_bytes + 4 * 52, "MAP ", 4); // NOLINT(bugprone-not-null-terminated-result): no string
    ret_bytes[4 * 53] = 0x44;              /* machst: little-endian */
    ret_bytes[4 * 53 + 1] = 0x44;
    put_float(ret_bytes, 55, header->deviation);
    put_int(ret_bytes, 56, 1); /* labels in use */
    memset(ret_bytes + 4 * 56, ' ', 80);
    memcpy(ret_bytes + 4 * 56, label, sizeof label - 1);
}
