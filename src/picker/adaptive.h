/* Rules of the `adaptive` profile (README.md, whose steps are named here), as pure functions. What
 * is computed between them is the backend's (backend/adaptive.h); the decision between particles
 * and noise is in null_test.h.
 *
 * A hypothesis is a scale (particles are so wide), a start (dark or bright disks, or places rich in
 * detail) and what comes of it: the best candidates make the templates, the templates find the
 * candidates, a few times over. The same is done to noise of the same spectrum, and the hypothesis
 * is taken that finds most in the micrograph beyond what it finds there. Nothing is remembered from
 * other micrographs.
 */
#ifndef PS_PICKER_ADAPTIVE_H
#define PS_PICKER_ADAPTIVE_H

#include "backend/adaptive.h"
#include "picker/null_test.h"

/* What the profile goes by. One set for all micrographs; a struct so that tests/bench can show what
 * each rule is worth. */
struct ps_adaptive_rules {
    /* Px that a particle is wide at least */
    double coarse;        /* while hypotheses are compared; 0: as afterwards */
    double fine;          /* afterwards, */
    double fine_in_large; /* and where the field then has more than */
    double large;         /* px */
    /* Micrographs that more than twice as many particles would cover are searched in parts that
     * `part` of them would cover, and then picked in tiles of up to `tile` px of the field */
    double part; /* 0: never */
    double tile;
    int coarse_rounds; /* of templates and candidates */
    int fine_rounds;
    double frame;     /* of the field, in diameters */
    double distance;  /* of candidates, in diameters */
    int nulls;        /* fields of noise at most; a large field makes do with one */
    double contender; /* least worth of a hypothesis in the search, of the best one's */
    double clear;     /* an objective below is held against as many as that */
    double reliable;  /* least objective of a hypothesis that has found something */
    /* Contaminants too small for the mask: windows so far, in robust standard deviations, from */
    double contaminant; /* all candidates; 0: any */
    double outlier;     /* the picks; 0: any */
    double few;      /* they are this share of the particles that would cover the field at most */
    bool strange;    /* discount strange windows in the choice of a hypothesis */
    bool energy;     /* use that channel */
    bool support;    /* train a support vector machine */
    bool everything; /* publish all candidates, for benchmarks */
};
extern const struct ps_adaptive_rules ps_adaptive_rules;

/* Scales that are tried, as factors of the diameter. */
enum { PS_ADAPTIVE_SCALES = 7 };
extern const double ps_adaptive_scales[PS_ADAPTIVE_SCALES];

/* Step 1: pixels along each side that become one, so that `diameter` px become `least` or a little
 * more, or stay as they are. */
int ps_adaptive_bin(double diameter, double least);

/* Least width of a particle in the refinement of a micrograph, px: more of them where that is
 * cheap, for few particles need the resolution most. */
double ps_adaptive_fine(const struct ps_adaptive_rules *rules, double diameter, int width,
                        int height);

/* Step 6: the template to begin with: a disk, bright (sign 1) or dark (-1). */
struct ps_radial ps_adaptive_start(double diameter, int sign);

/* Step 8: so many of the `count` candidates, the best first, make the next template; `area` is how
 * many particles would cover the unmasked field (px / diameter^2). */
size_t ps_adaptive_examples(const struct ps_peak *peaks, size_t count, double area);

/* Step 10: the channels' weights from the responses at `count` examples, [channel][example], and
 * their moments everywhere. None is negative, and they are not all 0. */
void ps_adaptive_weights(const float *const responses[PS_CHANNELS], size_t count,
                         const struct ps_response_moments *moments,
                         double ret_weights[PS_CHANNELS]);

/* How many fields of noise make the null of a field that `area` particles would cover: the tail of
 * their scores takes some hundreds of candidates. */
int ps_adaptive_nulls(const struct ps_adaptive_rules *rules, double area);

/* What is usual for a peak's window: the medians of its mean and of its power, which is its mean
 * square, and so many robust standard deviations up and, for the mean, down. Everything is where
 * there are fewer than PS_FEWEST_WINDOWS, or `deviations` is 0. */
enum { PS_FEWEST_WINDOWS = 5 };
struct ps_window_range {
    double least_mean;
    double largest_mean;
    double largest_power;
};
struct ps_window_range ps_adaptive_range(const struct ps_peak *peaks, size_t count,
                                         double deviations);
bool ps_adaptive_stands_out(const struct ps_window_range *range, const struct ps_peak *peak);
size_t ps_adaptive_count_outside(const struct ps_window_range *range, const struct ps_peak *peaks,
                                 size_t count);

/* What is known of a candidate. */
struct ps_evidence {
    double local_false; /* local false discovery rate by the null */
    double height;      /* of its score above the cut */
    double separation;  /* of the hypothesis from the null */
};

/* Figure of merit: the probability that a candidate is a particle. A logistic regression on
 * candidates above the cut of known truth (within 0.3 diameters): every second micrograph of each
 * set that the accuracy bench scores except the 80S ribosomes, a third of which have no label, at
 * three diameters, each set with the weight of the root of its candidates. The other micrographs
 * measure the calibration. Results that were unreliable had no part in it: that theirs are a
 * quarter is set, not measured. */
double ps_adaptive_probability(const struct ps_evidence *evidence, bool reliable);

/* The least diameter that there are templates for, px; and the least width and height of a
 * micrograph, in diameters. */
#define PS_ADAPTIVE_LEAST_DIAMETER 8.0
#define PS_ADAPTIVE_LEAST_SIZE     2.0

#endif
