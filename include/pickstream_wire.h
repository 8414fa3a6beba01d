/* pickstream's messages, for subscribers in C and C++ (schema pickstream/1).
 *
 * A message is several ZeroMQ frames: a topic, a header (a JSON object in UTF-8), and the arrays
 * that the header's "arrays" describes, in their order, little-endian, in C order. A consumer
 * ignores keys, arrays and topics that it does not know. pickstream-messages(7) has every field.
 *
 *     SUB     connect to PS_WIRE_ENDPOINT, subscribe to PS_WIRE_TOPIC_PICKS
 *     DEALER  connect to PS_WIRE_REPLAY_ENDPOINT; send {"request":"since","seq":N} to get every
 *             message with a larger seq again, then {"type":"end","last_seq":M}, a single frame
 *
 * Every outcome of a stream has a seq, 1, 2, 3 ... without a gap, so that one who sees a gap knows
 * what to ask for. "stream" and "seq" together are the key of a message; one may come twice.
 *
 * This header needs nothing else of pickstream, and no library.
 */
#ifndef PICKSTREAM_WIRE_H
#define PICKSTREAM_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PS_WIRE_SCHEMA "pickstream/1"

/* The value of micrograph.encoding: path and name are not UTF-8 and have %XX for their bytes. */
#define PS_WIRE_ENCODING_PERCENT "percent"

/* Where the service binds unless it was configured otherwise. */
#define PS_WIRE_ENDPOINT        "tcp://127.0.0.1:5590"
#define PS_WIRE_REPLAY_ENDPOINT "tcp://127.0.0.1:5591"

/* Topics, and the "type" in the header of their messages. ZeroMQ matches beginnings: compare the
 * first frame of what arrives with the whole topic. */
#define PS_WIRE_TOPIC_PICKS     "picks"     /* an outcome: picked, rejected or failed */
#define PS_WIRE_TOPIC_STATUS    "status"    /* heartbeat, with "last_seq" */
#define PS_WIRE_TOPIC_PREVIEW   "preview"   /* a picture, as PNG */
#define PS_WIRE_TOPIC_PARTICLES "particles" /* the boxes of an outcome; never replayed */

#define PS_WIRE_TYPE_END   "end"   /* last answer to a request, from the replay socket */
#define PS_WIRE_TYPE_ERROR "error" /* the only answer to a request that was refused */
#define PS_WIRE_TYPE_RELAY "relay" /* the streams of a relay, to a request that names none */

enum ps_wire_frame { PS_WIRE_FRAME_TOPIC, PS_WIRE_FRAME_HEADER, PS_WIRE_FRAME_ARRAYS };

/* The array "picks": a row a pick, best score first. Coordinates are in pixels of the micrograph,
 * the centre of the first stored pixel is (0, 0). A later version may append columns: take the
 * number of columns from the header's "shape". */
#define PS_WIRE_ARRAY_PICKS "picks"
#define PS_WIRE_DTYPE       "<f4"

enum ps_wire_column {
    PS_WIRE_X,
    PS_WIRE_Y,
    PS_WIRE_SCORE,
    PS_WIRE_AREA, /* px^2 */
    PS_WIRE_COLUMNS
};
#define PS_WIRE_COLUMN_NAMES                                                                       \
    {                                                                                              \
        "x", "y", "score", "area"                                                                  \
    }

/* The array "preview" of a preview: the bytes of an 8-bit grey PNG file, as long as its
 * "shape" says. */
#define PS_WIRE_ARRAY_PREVIEW "preview"
#define PS_WIRE_DTYPE_BYTES   "|u1"

/* The array "particles": boxes of size x size pixels, for the first rows of "picks", as its "shape"
 * [n, size, size] says; float16, read with ps_wire_half(). */
#define PS_WIRE_ARRAY_PARTICLES "particles"
#define PS_WIRE_DTYPE_HALF      "<f2"

/* One value of the array "picks". `frame` need not be aligned; it must hold (row + 1) * columns
 * floats. */
static inline float ps_wire_value(const void *frame, size_t columns, size_t row, size_t column)
{
    const unsigned char *at = (const unsigned char *)frame + 4 * (row * columns + column);
    const uint32_t bits =
        (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Value number `index` of an array of float16; infinities and NaN do not occur. */
static inline float ps_wire_half(const void *frame, size_t index)
{
    const unsigned char *at = (const unsigned char *)frame + 2 * index;
    const int sign = at[1] & 0x80 ? -1 : 1, exponent = at[1] >> 2 & 0x1f;
    const int fraction = (at[1] & 3) << 8 | at[0];
    float value = exponent ? (float)(fraction + 1024) : (float)fraction;
    for (int i = exponent ? exponent : 1; i < 25; i++)
        value *= 0.5f;
    for (int i = 25; i < exponent; i++)
        value *= 2.0f;
    return (float)sign * value;
}

#ifdef __cplusplus
}
#endif

#endif
