/* A backend that is two: every stage runs on the CPU and on the GPU with the same input, and what
 * they leave is compared. The picker goes on with what the CPU said, so that a difference in one
 * stage does not show again as different decisions in the next. */
#ifndef TEST_TWIN_H
#define TEST_TWIN_H

#include "backend/backend.h"
#include "picker/picker.h"

/* What is compared, and how far apart it may be: see twin.c for the reasons. */
#define TWIN_MAP(X)                                                                                \
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
enum twin_check {
#define X(NAME, name, limit) TWIN_##NAME,
    TWIN_MAP(X)
#undef X
        TWIN_CHECKS
};

/* A picker that compares. `most_lanes` bounds the hypotheses side by side, and with them the slots
 * on the CPU. Fails the running test where anything cannot be made. */
struct ps_picker *twin_picker(const struct ps_config *config, int most_lanes);
/* Prints the largest differences, and frees. */
void twin_done(struct ps_picker *picker);

#endif
