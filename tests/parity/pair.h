/* A backend that runs every stage on the CPU and on the GPU with the same input and compares the
 * results. The picker continues with the CPU's results, so that a difference in one stage does not
 * lead to different decisions in the next. */
#ifndef TEST_PAIR_H
#define TEST_PAIR_H

#include "backend/backend.h"
#include "picker/picker.h"

/* Compared results, and the limits of the differences; pair.c has the reasons. */
#define PAIR_MAP(X)                                                                                \
    X(UPLOAD, "upload", 1e-9)                                                                      \
    X(PREPROCESSED, "preprocessed", 2e-5)                                                          \
    X(MEAN, "window means", 2e-5)                                                                  \
    X(DEVIATION, "window deviations", 1e-4)                                                        \
    X(REFERENCES, "references", 2e-5)                                                              \
    X(SCORE, "score", 2e-3)                                                                        \
    X(FEATURES, "features", 1e-4)                                                                  \
    X(CLASSIFIED, "classified", 1e-4)                                                              \
    X(CLEANED, "cleaned", 1e-3)                                                                    \
    X(REGIONS, "regions", 0)                                                                       \
    X(MASKED, "mask", 1e-4)                                                                        \
    X(INTENSITY, "intensity", 2e-5)                                                                \
    X(RANDOMISED, "null", 2e-5)                                                                    \
    X(ENERGY, "energy", 2e-5)                                                                      \
    X(LOCAL_MEAN, "local mean", 2e-5)                                                              \
    X(LOCAL_DEVIATION, "local deviation", 2e-5)                                                    \
    X(INTENSITY_MATCH, "intensity match", 2e-5)                                                    \
    X(ENERGY_MATCH, "energy match", 2e-5)                                                          \
    X(ADAPTIVE_SCORE, "adaptive score", 2e-5)                                                      \
    X(TEMPLATES, "templates", 2e-5)                                                                \
    X(RESPONSES, "responses at examples", 2e-5)                                                    \
    X(MOMENTS, "response moments", 2e-5)                                                           \
    X(PEAKS, "peaks", 5e-3)                                                                        \
    X(SAMPLES, "samples", 2e-5)                                                                    \
    X(LOCATED, "located", 5e-3)
enum pair_check {
#define X(NAME, name, limit) PAIR_##NAME,
    PAIR_MAP(X)
#undef X
        PAIR_CHECKS
};

/* Creates a picker that compares. `max_items` limits the hypotheses per batch, and so the slots on
 * the CPU. Fails the running test on errors. */
struct ps_picker *pair_picker(const struct ps_config *config, int max_items);
/* Prints the largest differences, and frees the picker. */
void pair_done(struct ps_picker *picker);

#endif
