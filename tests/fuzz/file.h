/* What fuzzers of readers share that take a path: the input as a file in memory. */
#ifndef PS_FUZZ_FILE_H
#define PS_FUZZ_FILE_H

#include "pickstream.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

enum { MEMORY_PATH = 64 };

/* The descriptor, to be closed, and the path of a file with this content. */
static inline int memory_file(const void *bytes, size_t length, char ret_path[MEMORY_PATH])
{
    int fd = memfd_create("input", MFD_CLOEXEC);
    if (fd < 0 || write(fd, bytes, length) != (ssize_t)length)
        abort();
    (void)snprintf(ret_path, MEMORY_PATH, "/proc/self/fd/%d", fd);
    return fd;
}

/* Every fault is reported in one line. */
static inline void check_message(int status, const struct ps_error *error)
{
    if (status != 0 && (error->message[0] == '\0' || strchr(error->message, '\n')))
        abort();
}

#endif
