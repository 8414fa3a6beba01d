/* What the `adaptive` profile knows of a micrograph while it picks: the field, and the hypotheses
 * about the particles in it. */
#ifndef PS_PICKER_ADAPTIVE_RUN_H
#define PS_PICKER_ADAPTIVE_RUN_H

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

/* What a whole micrograph, binned, holds beside contaminants and dead areas. */
struct ps_adaptive_mask {
    int bin;
    int width;
    int height;
    unsigned char *unmasked; /* 1 or 0; NULL: each field has a mask of its own */
};

struct ps_adaptive_run {
    struct ps_picking *base;
    const struct ps_adaptive_ops *ops;
    const struct ps_adaptive_rules *rules;
    int bin;
    double diameter; /* of the particle, px of the field */
    struct ps_field field;
    struct ps_rectangle where;     /* that the field is made of */
    struct ps_adaptive_mask mask;  /* of the whole micrograph, if fields are parts of it */
    double masked;                 /* share of the image data that contaminants cover */
    double most;                   /* largest worth after the first match with noise */
    struct ps_hypothesis best;     /* of the search */
    struct ps_hypothesis now;      /* the best one, refined */
    double (*centres)[2];          /* of its candidates: x, y, px of the field */
    float *responses[PS_CHANNELS]; /* at its candidates */
};

void ps_adaptive_run_done(struct ps_adaptive_run *run);
/* Frees the candidates of run->now, their centres and responses. */
void ps_adaptive_forget_candidates(struct ps_adaptive_run *run);

/* Steps 1 to 3 of run->where at a resolution: particles become at least so many px wide.
 * PS_E_INPUT: there is nothing to look at; PS_E_NOMEM, PS_E_DEVICE. */
int ps_adaptive_reduce(struct ps_adaptive_run *run, double least);

/* Step 2 for the whole micrograph, in run->mask, which fields of parts then have instead of a mask
 * of their own. As above. */
int ps_adaptive_make_mask(struct ps_adaptive_run *run);

/* Fields are made of the whole micrograph again, each with a mask of its own. */
void ps_adaptive_take_whole(struct ps_adaptive_run *run);

/* How much of a part of the micrograph is not masked, px of the mask, or of the micrograph if there
 * is none. */
size_t ps_adaptive_unmasked_in(const struct ps_adaptive_run *run, const struct ps_rectangle *part);

/* That of the refinement. */
double ps_adaptive_fine_of(const struct ps_adaptive_run *run);

/* How many particles of a diameter, px of the field, would cover what is not masked. */
double ps_adaptive_area(const struct ps_adaptive_run *run, double diameter);

#endif
