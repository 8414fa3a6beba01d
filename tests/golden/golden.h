/* A golden case: the results of the reference implementation for one micrograph. README.md beside
 * the golden files describes them. */
#ifndef TEST_GOLDEN_H
#define TEST_GOLDEN_H

#include "config/config.h"
#include "image/micrograph.h"

#include <stddef.h>
#include <stdint.h>

struct golden_array {
    size_t count;
    double *values;
};

struct golden_case {
    const char *name;
    struct ps_micrograph *micrograph;
    struct ps_config *config; /* profile aspire, the case's diameter and tau */
    int support[2];           /* vectors of background and of particle */
    double intercept;
    size_t picks; /* centres, x and y in turn */
    int (*centres)[2];
    int segmentation_side;
};

/* Directory of the data; NULL if it does not exist. */
const char *golden_directory(void);

/* Fails the running test if a file cannot be read. */
struct golden_case golden_open(const char *name);
void golden_close(struct golden_case *golden);

/* An .npy file of a case: float64, float32, int32 or uint8, as doubles. */
struct golden_array golden_load(const struct golden_case *golden, const char *file);

/* A bit-packed mask of side x side, as bytes 0 and 1. */
uint8_t *golden_load_mask(const struct golden_case *golden, const char *file);

#endif
