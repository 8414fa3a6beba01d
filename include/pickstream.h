/* pickstream: particle picks in cryo-EM micrographs, from C.
 *
 * A picker finds particles in one micrograph held in memory, after the idea of the APPLE picker
 * (Heimowitz, Anden, Singer, J. Struct. Biol. 204 (2018) 215-227): windows of the micrograph are
 * correlated with references from the same micrograph, and the best and the worst of them train a
 * classifier. The profile `adaptive` (the default) goes by the diameter of the particle alone;
 * `aspire` reproduces the reference implementation of that paper. Nothing is learned from other
 * micrographs: the same pixels give the same picks.
 *
 *     struct ps_error error;
 *     struct ps_config *config = ps_config_new();
 *     struct ps_picker *picker = NULL;
 *     struct ps_result result;
 *     ps_config_set(config, "picker.particle_diameter", "180", &error);
 *     ps_picker_new(config, &picker, &error);
 *     ps_picker_pick(picker, &image, &result, &error);
 *     ...
 *     ps_result_done(&result);
 *     ps_picker_free(picker);
 *     ps_config_free(config);
 *
 * Functions that can fail return 0 or a negative `enum ps_code` and, where `error` is not NULL, put
 * one line for a person into it; what they were to return is then left untouched. A picker is used
 * by one thread at a time; different pickers are independent. Nothing here prints or exits.
 */
#ifndef PICKSTREAM_H
#define PICKSTREAM_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PS_API __attribute__((visibility("default")))

/* The codes tell what to do about a failure, not what happened: the message does that. */
enum ps_code {
    PS_OK = 0,
    PS_E_INPUT = -1,  /* this micrograph cannot be picked: report it, go on with the next */
    PS_E_CONFIG = -2, /* the user must change a setting */
    PS_E_NOMEM = -3,  /* not enough memory for this size */
    PS_E_SYSTEM = -4, /* the operating system refused something: disk, permission, threads */
    PS_E_DEVICE = -5, /* the compute device failed or is missing */
    PS_E_BUG = -6,    /* pickstream is wrong: please report the message */
};

struct ps_error {
    enum ps_code code;
    char message[512]; /* one line, no newline */
};

enum ps_pixel { PS_PIXEL_I8, PS_PIXEL_U8, PS_PIXEL_I16, PS_PIXEL_U16, PS_PIXEL_F16, PS_PIXEL_F32 };

/* A micrograph as the caller holds it: height rows of width pixels without padding, in the byte
 * order of this machine, the row that an MRC file stores first coming first. */
struct ps_image {
    const void *pixels;
    enum ps_pixel type;
    int width;         /* px */
    int height;        /* px */
    double pixel_size; /* angstrom; 0 where unknown: the diameter must then be in px */
};

/* A pick. Coordinates are in pixels of the image as given: the centre of its first pixel is (0, 0),
 * x grows along a row, y from row to row, as in RELION. */
struct ps_pick {
    float x;
    float y;
    float score; /* figure of merit; `adaptive`: the probability that this is a particle;
                  * `aspire`: the classifier's decision value at the centre */
    float area;  /* px^2; `adaptive`: of the disk that is as wide as the scale that fitted best;
                  * `aspire`: of the region whose centre this is */
};

enum ps_outcome {
    PS_PICKED,   /* count says how many, and 0 is an answer too */
    PS_REJECTED, /* nothing in it can be trusted: reason says why, count is 0 */
};

/* Stages of one micrograph, in their order. */
#define PS_STAGE_MAP(X)                                                                            \
    X(UPLOAD, upload)                                                                              \
    X(PREPROCESS, preprocess)                                                                      \
    X(MOMENTS, moments)                                                                            \
    X(REFERENCES, references)                                                                      \
    X(SCORE, score)                                                                                \
    X(TRAIN, train)                                                                                \
    X(CLASSIFY, classify)                                                                          \
    X(CLEAN, clean)                                                                                \
    X(CENTRES, centres)
enum ps_stage {
#define X(NAME, name) PS_STAGE_##NAME,
    PS_STAGE_MAP(X)
#undef X
        PS_STAGE_COUNT
};

/* What is worth a warning: X(NAME, code, what to do next). The text of a warning has the numbers. A
 * micrograph that failed or was rejected has the first or second one, with its reason as the text.
 */
#define PS_WARNING_MAP(X)                                                                          \
    X(FAILED, failed, "look at the reason; after its cause is removed: pickstream retry")          \
    X(REJECTED, rejected, "look at the micrograph: there is nothing in it that could be picked")   \
    X(UNRELIABLE, unreliable,                                                                      \
      "check picker.particle_diameter, picker.pixel_size and picker.contrast; after a change: "    \
      "pickstream repick")                                                                         \
    X(SCALE, scale,                                                                                \
      "check picker.pixel_size and picker.particle_diameter; after a change: pickstream repick")   \
    X(COLLAPSED, collapsed,                                                                        \
      "look at the newest micrographs: ice, focus, empty areas, another magnification")            \
    X(MASKED, masked,                                                                              \
      "check the grid square and the aim of the microscope; if it is particles that are masked: "  \
      "picker.mask_contaminants = no")                                                             \
    X(NO_DATA, no_data, "check the motion correction: it leaves areas without data")               \
    X(PIXELS, pixels, "check the gain reference and the defect map of the camera")                 \
    X(PIXEL_SIZE, pixel_size, "correct picker.pixel_size, or remove it if the header is right")    \
    X(FILE, file, "check the program that wrote the file")                                         \
    X(NOT_WRITTEN, not_written,                                                                    \
      "make space in output.directory, or permit writing there: the service tries again")
enum ps_warning {
    PS_WARNING_NONE, /* unknown: made by an earlier version */
#define X(NAME, code, advice) PS_WARNING_##NAME,
    PS_WARNING_MAP(X)
#undef X
        PS_WARNING_COUNT
};

enum { PS_MAX_WARNINGS = 8 };

struct ps_result {
    enum ps_outcome outcome;
    char reason[256];      /* empty unless rejected */
    struct ps_pick *picks; /* best score first; owned by the result */
    size_t count;          /* of picks */
    bool truncated;        /* picker.max_picks left some out */
    bool unreliable; /* adaptive: nothing tells particles from the rest; picks are candidates */
    double masked;   /* adaptive: share of the micrograph that contaminants cover */
    double
        expected_false;  /* adaptive: how many picks are no particles, by their scores; else NaN */
    double separation;   /* adaptive: of particles from noise, in deviations of noise; else NaN */
    double score_median; /* of the picks; 0 without any */
    double diameter;     /* particle diameter used, px */
    double pixel_size;   /* angstrom; 0 where unknown */
    int unpicked_margin[4]; /* left, right, top (small y), bottom: px in which no centre can lie */
    char device[96];        /* what computed it */
    size_t warning_count;
    char warnings[PS_MAX_WARNINGS][160];
    enum ps_warning warning_kinds[PS_MAX_WARNINGS];
    double milliseconds[PS_STAGE_COUNT];
};

struct ps_config;
struct ps_picker;

/* Settings, all at their defaults. NULL without memory. */
PS_API struct ps_config *ps_config_new(void);
PS_API void ps_config_free(struct ps_config *config);

/* Sets "section.key" (pickstream.conf(5) lists them) from its text.
 * PS_E_CONFIG: unknown key, or a value out of its range. */
PS_API int ps_config_set(struct ps_config *config, const char *key, const char *value,
                         struct ps_error *error);

/* Reads a configuration file over what is set. PS_E_CONFIG: the message begins FILE:LINE and names
 * the first mistake; PS_E_SYSTEM: the file cannot be read. On failure nothing is changed. */
PS_API int ps_config_read(struct ps_config *config, const char *path, struct ps_error *error);

/* Opens the device that the configuration names and prepares a picker; the configuration is copied.
 * PS_E_CONFIG: settings that contradict each other; PS_E_DEVICE; PS_E_NOMEM. */
PS_API int ps_picker_new(const struct ps_config *config, struct ps_picker **ret_picker,
                         struct ps_error *error);
PS_API void ps_picker_free(struct ps_picker *picker);

/* Picks one micrograph. The image is only read.
 * `*ret_result` is filled on success, to be emptied with ps_result_done().
 * PS_E_INPUT: too small or too large for the diameter; PS_E_NOMEM; PS_E_DEVICE. */
PS_API int ps_picker_pick(struct ps_picker *picker, const struct ps_image *image,
                          struct ps_result *ret_result, struct ps_error *error);

/* Frees what a result owns and makes it empty; a result of all zeros is fine too. */
PS_API void ps_result_done(struct ps_result *result);

/* "upload", "preprocess", ... */
PS_API const char *ps_stage_name(enum ps_stage stage);

/* "0.1.0", with the commit it was built from where that is known. */
PS_API const char *ps_version(void);

#ifdef __cplusplus
}
#endif

#endif
