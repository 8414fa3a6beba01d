/* Hypotheses that the device works on side by side, in the field as it is: the micrograph or noise.
 */
#ifndef PS_PICKER_ADAPTIVE_GROUP_H
#define PS_PICKER_ADAPTIVE_GROUP_H

#include "picker/adaptive_run.h"

/* As many as the device has items for, and what they find. Begin with zeros, `run`, `count` and
 * `hypotheses`; end with ps_group_forget(). */
struct ps_group {
    struct ps_adaptive_run *run;
    int count;
    struct ps_hypothesis *hypotheses[PS_MAX_ITEMS];
    struct ps_batch_item items[PS_MAX_ITEMS];
    struct {
        struct ps_peak *peaks;
        size_t count;
    } found[PS_MAX_ITEMS];
};
void ps_group_forget(struct ps_group *group);

/* Diameter of a hypothesis, px of the field. */
double ps_group_diameter(const struct ps_adaptive_run *run, const struct ps_hypothesis *h);

/* Least distance of its candidates, px of the field. */
double ps_group_distance(const struct ps_adaptive_run *run, const struct ps_hypothesis *h);

/* ---- PS_E_NOMEM and PS_E_DEVICE; steps are those of README.md ---- */

/* `windows`: mean and deviation of the candidates are wanted; those of noise are compared by their
 * score alone. */

/* Step 4; comes before the others, and again when the field has changed. */
int ps_group_scale(struct ps_group *group);

/* Steps 5 to 10 from the start of each hypothesis. */
int ps_group_learn(struct ps_group *group, bool windows);
/* Steps 8 to 10, then 5 and 7, from what was found, so many times. */
int ps_group_improve(struct ps_group *group, int rounds, bool windows);
/* Step 7 again, without leaving out contaminants. */
int ps_group_find_all(struct ps_group *group);

/* What was found becomes the hypotheses' own candidates, templates and weights. */
void ps_group_keep(struct ps_group *group);
/* What was found in noise becomes a list of the hypotheses' nulls. */
int ps_group_add_to_null(struct ps_group *group);
/* Steps 5 and 7 with the hypotheses' own templates and weights. */
int ps_group_match(struct ps_group *group);
/* The same in noise, and a list of that. */
int ps_group_match_noise(struct ps_group *group);

#endif
