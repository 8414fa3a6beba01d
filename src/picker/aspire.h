/* The `aspire` profile: the reference implementation's numbers and decisions, its accidents
 * included (apple-reference; section numbers are that page's). Pure functions on the host.
 *
 * Where the reference stops with an exception, this goes on:
 *   - tau1 and tau2 by default are those of a 4000 x 4000 micrograph; where that is more windows
 *     than there are, the reference ends in an IndexError. Here they are 3 % and 30 % of the
 *     windows that there are.
 *   - A micrograph smaller than one container is one container.
 *   - Training is repeated while all windows or none are called particle; the reference does so
 *     for ever or until it runs off its list. Here the list's end ends it: the micrograph is
 *     rejected.
 */
#ifndef PS_PICKER_ASPIRE_H
#define PS_PICKER_ASPIRE_H

#include "backend/backend.h"
#include "config/config.h"

/* Section 1. Lengths in working pixels (half the micrograph's resolution) unless said otherwise. */
struct ps_aspire {
    struct ps_crop crop; /* micrograph px */
    int side;            /* of the preprocessed image */
    int query;           /* side of a window; even */
    int queries;         /* windows per side that are scored */
    int container;
    int smallest; /* radius of the first erosion */
    int largest;  /* radius of the second, and the side of the largest region */
    int overlap;  /* radius of the disk that no two picks may share */
    int tau1;     /* ranks from which positives come */
    int tau2;     /* ranks from which no negatives come */
};

/* Parameters for a micrograph of width x height px with particles of `diameter` px.
 * PS_E_INPUT: it is too small, or has fewer windows than the tau that is set. */
int ps_aspire_parameters(const struct ps_config *config, double diameter, int width, int height,
                         struct ps_aspire *ret_parameters, struct ps_error *error);

/* Section 6, step 1: indices (row * queries + column) of all queries x queries windows by
 * descending score, equal ones in column-major order. PS_E_NOMEM. */
int ps_aspire_rank(const int32_t *score, int queries, int references, int *ret_ranked,
                   struct ps_error *error);

/* Section 6, steps 2 and 3: the tiles to train on, as (row, column) of their first pixel; the
 * positives first, each class column by column. `ret_tiles` has room for 2 (side / query)^2: where
 * tau1 has outgrown tau2, a tile can be an example of both classes. */
int ps_aspire_training_tiles(const struct ps_aspire *parameters, const int *ranked,
                             int (*ret_tiles)[2], size_t *ret_count, size_t *ret_positives,
                             struct ps_error *error);

/* A centre, in rows and columns of the trimmed mask (section 9, step 1). */
struct ps_aspire_centre {
    int row;
    int column;
    int64_t area;
};

/* Section 9, steps 2 to 4: the regions that are picks. `side` is the trimmed mask's. `ret_centres`
 * has room for `count`. PS_E_NOMEM. */
int ps_aspire_centres(const struct ps_aspire *parameters, int side, const struct ps_region *regions,
                      size_t count, struct ps_aspire_centre *ret_centres, size_t *ret_count,
                      struct ps_error *error);

/* Rows and columns that section 9, step 1 trims off the mask, before and after. */
int ps_aspire_trim_before(const struct ps_aspire *parameters);
int ps_aspire_trim_after(const struct ps_aspire *parameters);

/* Section 9, step 5: micrograph coordinate, along one axis, of a centre in the trimmed mask. */
int ps_aspire_coordinate(const struct ps_aspire *parameters, int centre, int crop_begin);

#endif
