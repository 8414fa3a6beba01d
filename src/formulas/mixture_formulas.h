/* Formulas of the mixture of two Gaussians that the backends share, for gcc, g++ and nvcc. */
#ifndef PS_PICKER_MIXTURE_FORMULAS_H
#define PS_PICKER_MIXTURE_FORMULAS_H

#include "formulas/hd.h"

#include <math.h>
#include <stdbool.h>

enum { PS_MIXTURE_ROUNDS = 100 };         /* at most */
#define PS_MIXTURE_LEAST_STEP       1e-10 /* a round that moves less is the last */
#define PS_MIXTURE_LEAST_SHARE      0.01
#define PS_MIXTURE_LEAST_DEVIATION  0.2 /* of that of all values */
#define PS_MIXTURE_LARGEST_LOG_ODDS 50.0

/* Two Gaussians, the lower one first. */
struct ps_mixture {
    double share; /* of the upper one */
    double mean[2];
    double deviation[2];
};

/* What a threshold after `above` of `count` values is worth, `sum` being their sum (Otsu). */
PS_HD double ps_otsu_between(double sum, double total, double above, double count)
{
    double rest = count - above;
    double distance = sum / above - (total - sum) / rest;
    return above * rest * distance * distance;
}

/* What the densities have in common for all values: their logarithms at the means. */
struct ps_mixture_tops {
    double log[2];
};
PS_HD struct ps_mixture_tops ps_mixture_tops_of(const struct ps_mixture *m)
{
    struct ps_mixture_tops tops;
    tops.log[0] = log(1 - m->share) - log(m->deviation[0]);
    tops.log[1] = log(m->share) - log(m->deviation[1]);
    return tops;
}

PS_HD double ps_mixture_log_density(const struct ps_mixture *m, const struct ps_mixture_tops *tops,
                                    int which, double value)
{
    double z = (value - m->mean[which]) / m->deviation[which];
    return tops->log[which] - 0.5 * z * z;
}

/* Probability that a value is from the upper Gaussian. */
PS_HD double ps_mixture_upper(const struct ps_mixture *m, const struct ps_mixture_tops *tops,
                              double value)
{
    double odds =
        ps_mixture_log_density(m, tops, 0, value) - ps_mixture_log_density(m, tops, 1, value);
    odds = fmin(fmax(odds, -PS_MIXTURE_LARGEST_LOG_ODDS), PS_MIXTURE_LARGEST_LOG_ODDS);
    return 1 / (1 + exp(odds));
}

PS_HD double ps_mixture_share(double upper, double count)
{
    return fmin(fmax(upper / count, PS_MIXTURE_LEAST_SHARE), 1 - PS_MIXTURE_LEAST_SHARE);
}

/* Whether a round led from one mixture to one so near that further rounds, whose steps are smaller
 * still, change nothing that matters. Means are measured by deviations, as one of them may be 0;
 * what is no number never settles. Two populations settle within 10 to 60 rounds; one that is
 * parted in two creeps on for all of them. */
PS_HD bool ps_mixture_settled(const struct ps_mixture *from, const struct ps_mixture *to)
{
    bool settled = fabs(to->share - from->share) <= PS_MIXTURE_LEAST_STEP * to->share;
    for (int k = 0; k < 2; k++) {
        double step = PS_MIXTURE_LEAST_STEP * to->deviation[k];
        settled = settled && fabs(to->mean[k] - from->mean[k]) <= step &&
                  fabs(to->deviation[k] - from->deviation[k]) <= step;
    }
    return settled;
}

#endif
