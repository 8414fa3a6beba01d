/* The decisions of the `adaptive` profile, as pure functions (step numbers are those of
 * adaptive-profile). What is computed between them is the backend's (backend/adaptive.h).
 *
 * A hypothesis is a scale (particles are so wide), a start (dark or bright disks, or places rich in
 * detail) and what comes of it: the best candidates make the templates, the templates find the
 * candidates, a few times over. The hypothesis whose candidates fall most clearly into two
 * populations is taken. Nothing is remembered from other micrographs.
 */
#ifndef PS_PICKER_ADAPTIVE_H
#define PS_PICKER_ADAPTIVE_H

#include "backend/adaptive.h"

/* What the profile goes by. One set for all micrographs; a struct so that tests/bench can show what
 * each rule is worth. */
struct ps_adaptive_rules {
    double coarse;     /* px that a particle is wide while hypotheses are compared; 0: as fine */
    double fine;       /* px that it is wide afterwards */
    int coarse_rounds; /* of templates and candidates */
    int fine_rounds;
    double frame;    /* of the field, in diameters */
    double distance; /* of candidates, in diameters */
    double unimodal; /* a separation below is one population */
    double floor;    /* threshold of a single population, in robust standard deviations */
    /* Noise has maxima everywhere, most of them below this, and with few of them they may seem to
     * be two populations: a threshold down there needs a larger separation. */
    double least;
    double least_separation;
    double certain; /* a separation that noise does not come near: needs no probation */
    /* Contaminants too small for the mask: windows so far, in robust standard deviations, from */
    double outstanding; /* all candidates; 0: any */
    double outlier;     /* the picks; 0: any */
    double few;     /* they are this share of the particles that would cover the field at most */
    bool energy;    /* use that channel */
    bool probation; /* try the best hypothesis on held-out halves of the field */
    bool support;   /* train a support vector machine */
};
extern const struct ps_adaptive_rules ps_adaptive_rules;

/* Scales that are tried, as factors of the diameter. */
enum { PS_ADAPTIVE_SCALES = 5 };
extern const double ps_adaptive_scales[PS_ADAPTIVE_SCALES];

/* Step 1: pixels that become one, so that `diameter` px become about `target`. */
int ps_adaptive_bin(double diameter, double target);

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

/* Step 11. */
struct ps_verdict {
    struct ps_mixture mixture;
    double threshold; /* of the score */
    size_t above;     /* candidates above it */
    double separation;
    double objective; /* the larger the better */
    bool reliable;
};
/* Of scores, and the mixture that was fitted to them. */
struct ps_verdict ps_adaptive_judge(const struct ps_adaptive_rules *rules,
                                    const struct ps_values *values,
                                    const struct ps_mixture *mixture);

/* Whether candidates are particles and others: by the verdict on all of them and by the one on
 * those held out, who are too few to ask where there are few particles. */
bool ps_adaptive_is_reliable(const struct ps_adaptive_rules *rules,
                             const struct ps_verdict *verdict, const struct ps_verdict *probation);

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

/* Whether contaminants made a hypothesis what it is. `outstanding` of its candidates above the
 * threshold stand out; if these are many, they are the particles. A twentieth of what is above the
 * threshold may have been among the examples (PARTIAL: the next ones are taken without them). A
 * third, or any where nothing was told apart, may be all that it is about (WHOLE: look for another
 * one without them). `area` as for ps_adaptive_examples(). */
enum ps_capture { CAPTURE_NONE, CAPTURE_PARTIAL, CAPTURE_WHOLE };
enum ps_capture ps_adaptive_capture(const struct ps_adaptive_rules *rules,
                                    const struct ps_verdict *verdict,
                                    const struct ps_verdict *probation, size_t outstanding,
                                    double area);

/* Whether the candidates without those that stand out are the particles after all: they are a
 * population of their own, and the larger one. */
bool ps_adaptive_is_calm(const struct ps_adaptive_rules *rules, const struct ps_verdict *verdict,
                         const struct ps_verdict *probation, size_t outstanding);

/* Figure of merit: probability that a candidate is a particle, from how far its score is above the
 * threshold and from the support vector machine's decision (0 where there is none). A logistic
 * regression on candidates of known truth: of the ten micrographs of apoferritin and 70S ribosomes
 * that the accuracy bench scores, each at three diameters, and of nineteen of `pickstream synth`.
 * The bench's calibration error is therefore that of the data the regression was made with. Results
 * that were unreliable had no part in it: that theirs are a quarter is set, not measured. */
double ps_adaptive_probability(const struct ps_verdict *verdict, double value, double decision,
                               bool reliable);

/* The least diameter that there are templates for, px; and the least width and height of a
 * micrograph, in diameters. */
#define PS_ADAPTIVE_LEAST_DIAMETER 8.0
#define PS_ADAPTIVE_LEAST_SIZE     2.0

#endif
