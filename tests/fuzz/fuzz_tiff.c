/* Fuzzes the TIFF reader, and libtiff as it uses it. */
#include "image.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    if (!ps_reader_tiff.probe(bytes, length))
        return -1; /* not for this corpus */
    fuzz_image(bytes, length, "tiff");
    return 0;
}
