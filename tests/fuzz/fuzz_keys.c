/* Fuzzes the reader of files of CURVE keys: a key that it gives is one, and what it reads as a
 * single key it reads as a list of one. */
#include "transport/curve.h"

#include "file.h"

#include <zmq.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct ps_error error = {0};
    struct ps_curve_keys keys = {0};
    char path[MEMORY_PATH], key[PS_CURVE_TEXT] = "";
    uint8_t binary[PS_CURVE_BYTES];
    int fd = memory_file(bytes, length, path);
    int one = ps_curve_read_key(path, key, &error);
    check_message(one, &error);
    if (one == 0 && (strlen(key) != PS_CURVE_TEXT - 1 || !zmq_z85_decode(binary, key)))
        abort();
    int all = ps_curve_read_keys(path, &keys, &error);
    check_message(all, &error);
    if (one == 0 && (all != 0 || keys.count != 1 || !ps_curve_keys_have(&keys, binary)))
        abort();
    if (one != 0 && all == 0 && keys.count == 1)
        abort();
    ps_curve_keys_done(&keys);
    (void)close(fd);
    return 0;
}
