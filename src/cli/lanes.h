/* Pickers side by side: small micrographs do not keep many cores busy one by one. */
#ifndef PS_CLI_LANES_H
#define PS_CLI_LANES_H

#include "config/config.h"
#include "pickstream.h"

#include <sys/stat.h>

/* What picks one micrograph at a time. */
struct ps_lane {
    struct ps_picker *picker;
    struct stat source; /* of the micrograph that is being picked, before it was read */
    bool writing;       /* the micrograph was picked: what fails now is the writing of its files */
};

struct ps_lanes {
    struct ps_lane *items;
    int count;
};

/* Opens as many lanes as micrographs like `image` fit beside each other into the memory that is
 * usual for so many threads, and shares the threads of the CPU among them. Leaves *ret_lanes empty
 * if that is fewer than two, or without memory. */
void ps_lanes_open(const struct ps_config *config, const struct ps_image *image, size_t micrographs,
                   struct ps_lanes *ret_lanes);
void ps_lanes_done(struct ps_lanes *lanes);

#endif
