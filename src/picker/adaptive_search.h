/* The search of the `adaptive` profile: hypotheses on a coarse field, held against noise; the best
 * of them refined on a fine field, and against noise again. */
#ifndef PS_PICKER_ADAPTIVE_SEARCH_H
#define PS_PICKER_ADAPTIVE_SEARCH_H

#include "picker/adaptive.h"
#include "picker/pick_run.h"

/* What the first candidates look like. */
enum ps_adaptive_begin { BEGIN_DARK, BEGIN_BRIGHT, BEGIN_DETAIL, BEGINS };

struct ps_hypothesis {
    double scale; /* of the diameter */
    enum ps_adaptive_begin begin;
    bool clean;            /* candidates that stand out are excluded: contaminants */
    bool flat;             /* it came to a template without structure: there is nothing */
    bool behind;           /* so far behind others that it is out of the search */
    struct ps_peak *peaks; /* candidates, the best first */
    size_t count;
    struct ps_radial templates[PS_CHANNELS]; /* that found them, */
    double weights[PS_CHANNELS];             /* and the weights of the responses to them */
    struct ps_null null;                     /* what the same finds in noise */
    struct ps_null_test test;                /* against that */
};
void ps_hypothesis_done(struct ps_hypothesis *hypothesis);

struct ps_adaptive_run {
    struct ps_picking *base;
    const struct ps_adaptive_ops *ops;
    const struct ps_adaptive_rules *rules;
    int bin;
    double diameter; /* of the particle, px of the field */
    struct ps_field field;
    size_t field_live;             /* px of the field that hold image data, without the frame */
    double most;                   /* largest worth after the first match with noise */
    struct ps_hypothesis best;     /* of the search */
    struct ps_hypothesis now;      /* the best one, refined */
    double (*centres)[2];          /* of its candidates: x, y, px of the field */
    float *responses[PS_CHANNELS]; /* at its candidates */
};

/* Steps 1 to 3 at a resolution: particles become at least so many px wide. PS_E_INPUT: there is
 * nothing to look at; PS_E_NOMEM, PS_E_DEVICE. */
int ps_adaptive_reduce(struct ps_adaptive_run *run, double least);

/* That of the refinement. */
double ps_adaptive_fine_of(const struct ps_adaptive_run *run);

/* Reduces the micrograph to the coarse field and leaves the best hypothesis in run->best, without
 * candidates if there is none.
 *
 * Each hypothesis is held against two nulls in each field of noise: what its templates find there,
 * and what templates find that were made there the same way. The first is the noise that particles
 * have to stand out from; the second is what a search makes of nothing. Those that are far behind
 * after the first match are not held against more.
 *
 * Contaminants too small for the mask may be so much clearer than particles that templates are made
 * of them. Where the best hypothesis has candidates that stand out, another search excludes such
 * candidates, and takes its place if it finds more. The field is noise afterwards. */
int ps_adaptive_search(struct ps_adaptive_run *run);

/* The best hypothesis again, at full resolution, as run->now: its candidates are where it begins.
 * Those that stand out are among them again, but had no part in the templates of a clean one. Its
 * null is what its templates find in noise. PS_E_INPUT: no template has any structure. */
int ps_adaptive_refine(struct ps_adaptive_run *run);

void ps_adaptive_run_done(struct ps_adaptive_run *run);

#endif
