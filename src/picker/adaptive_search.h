/* The search of the `adaptive` profile: hypotheses on a coarse field, the best of them tried on
 * held-out halves and then refined on a fine field. */
#ifndef PS_PICKER_ADAPTIVE_SEARCH_H
#define PS_PICKER_ADAPTIVE_SEARCH_H

#include "picker/adaptive.h"
#include "picker/pick_run.h"

/* What the first candidates look like. */
enum ps_adaptive_begin { BEGIN_DARK, BEGIN_BRIGHT, BEGIN_DETAIL, BEGINS };

struct ps_hypothesis {
    double scale; /* of the diameter */
    enum ps_adaptive_begin begin;
    bool calm; /* without the candidates that stand out */
    struct ps_peak *peaks;
    size_t count;
    struct ps_verdict verdict;
    size_t outstanding; /* candidates that stand out, of those above the threshold or dropped */
};

struct ps_adaptive_run {
    struct ps_picking *base;
    const struct ps_adaptive_ops *ops;
    const struct ps_adaptive_rules *rules;
    int bin;
    double diameter; /* of the particle, px of the field */
    struct ps_field field;
    struct ps_hypothesis best;
    struct ps_hypothesis now;    /* the best one, refined */
    struct ps_verdict probation; /* of the best one */
    bool supported;              /* a support vector machine decided */
};

/* Steps 1 to 3 at a resolution: particles become about `target` px wide. */
int ps_adaptive_reduce(struct ps_adaptive_run *run, double target);

/* Step 12: leaves the best hypothesis in run->best, without peaks if there is none.
 *
 * It goes on probation: templates from one half of the field find the particles of the other, and
 * the other way round. Templates that only know the noise that they were made of (and any search
 * finds some) tell nothing apart there. The verdict is in run->probation.
 *
 * Contaminants too small for the mask may be so much clearer than particles that all hypotheses are
 * about them. Where the best one may be, another search does without the candidates that stand out,
 * and takes its place if it finds a larger population. */
int ps_adaptive_search(struct ps_adaptive_run *run);

/* The best hypothesis again, at full resolution, as run->now: its candidates are where it begins.
 * Those that stand out are among them again. */
int ps_adaptive_refine(struct ps_adaptive_run *run);

#endif
