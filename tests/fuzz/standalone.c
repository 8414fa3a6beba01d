/* main() for a fuzz target without libFuzzer: replays the files, and the files in the directories,
 * that the command line names. Exit status 0: all were run; 1: one could not be read; 2: none. */
#include <errno.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static size_t replayed;

static int replay(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)where;
    if (kind != FTW_F || !S_ISREG(status->st_mode))
        return kind == FTW_NS || kind == FTW_DNR;
    const size_t length = (size_t)status->st_size;
    FILE *stream = fopen(path, "rb");
    uint8_t *bytes = malloc(length ? length : 1); /* exact, so that a sanitizer sees overruns */
    if (!stream || !bytes || fread(bytes, 1, length, stream) != length) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return 1;
    }
    fclose(stream);
    LLVMFuzzerTestOneInput(bytes, length);
    free(bytes);
    replayed++;
    return 0;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (nftw(argv[i], replay, 16, FTW_PHYS) != 0) {
            fprintf(stderr, "%s: cannot be replayed\n", argv[i]);
            return 1;
        }
    }
    printf("%zu inputs replayed\n", replayed);
    return replayed ? 0 : 2;
}
