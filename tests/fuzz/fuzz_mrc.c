/* Fuzzes the MRC reader, and the refusal of files that are neither MRC nor TIFF. */
#include "image.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    if (ps_reader_tiff.probe(bytes, length))
        return -1; /* not for this corpus */
    fuzz_image(bytes, length, "mrc");
    return 0;
}
