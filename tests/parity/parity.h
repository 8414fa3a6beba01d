/* Shared by the parity tests: micrographs, settings, and comparison of picks. The same source tests
 * a real GPU and the emulated one. */
#ifndef TEST_PARITY_H
#define TEST_PARITY_H

#include "../unit/picking.h"
#include "../unit/image_fixture.h"
#include "picker/picker.h"

#if __has_include("emu.h")
#include "emu.h"

#include <cuda_runtime_api.h>
#define PARITY_EMULATED 1
#else
#define PARITY_EMULATED 0
#endif

/* Size of a micrograph, px, and the diameter of its particles. */
struct parity_size {
    int width;
    int height;
    const char *diameter;
};

/* A profile, and the size of a small micrograph in which it finds picks. */
struct parity_profile {
    const char *name;
    struct parity_size size;
};
extern struct parity_profile parity_aspire;
extern struct parity_profile parity_adaptive;

/* Group setup: looks for a GPU, and prints why there is none. */
int parity_find_gpu(void **state);
/* Skips the running test without a GPU. */
void parity_need_gpu(void);

/* A micrograph of the profile's size. */
struct test_image parity_image(const struct parity_profile *profile);

/* Settings for a profile on a backend ("cpu", "cuda"). */
struct ps_config *parity_config(const char *profile, const char *backend, const char *diameter);
struct ps_picker *parity_picker(const char *profile, const char *backend, const char *diameter);

/* Share of the picks of `a` that lie within 2 px of one of `b`; 1 if `a` has none. */
double parity_share(const struct ps_result *a, const struct ps_result *b);

/* Asserts that the results agree: the same outcome, margins and warnings, and at least 99 % of the
 * picks of each lie within 2 px of one of the other. */
void parity_assert_agree(const struct ps_result *cpu, const struct ps_result *gpu);

#endif
