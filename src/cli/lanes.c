#include "cli/lanes.h"

#include "base/memory_limit.h"
#include "base/parallel.h"
#include "picker/memory.h"

#include <stdlib.h>

enum { BYTES_PER_THREAD = 128 << 20 };

static int lanes_for(const struct ps_config *config, int threads, const struct ps_image *image,
                     size_t micrographs)
{
    const uint64_t bytes = ps_picker_memory(config, false, image);
    const uint64_t limit = ps_memory_limit("") / 2;
    uint64_t room = (uint64_t)BYTES_PER_THREAD * (uint64_t)threads;
    room = room < limit ? room : limit;
    uint64_t count = bytes ? room / bytes : 0;
    count = count < micrographs ? count : micrographs;
    return count < (uint64_t)threads ? (int)count : threads;
}

void ps_lanes_open(const struct ps_config *config, const struct ps_image *image, size_t micrographs,
                   struct ps_lanes *ret_lanes)
{
    const int threads = config->compute.threads > 0 ? config->compute.threads : ps_core_count();
    const int count = lanes_for(config, threads, image, micrographs);
    struct ps_lanes lanes = {0};
    struct ps_config *own = count > 1 ? ps_config_copy(config) : NULL;
    if (own)
        lanes.items = calloc((size_t)count, sizeof *lanes.items);
    for (; lanes.items && lanes.count < count; lanes.count++) {
        own->compute.threads = (threads + lanes.count) / count; /* in sum all of them */
        if (ps_picker_new(own, &lanes.items[lanes.count].picker, NULL) != 0)
            break;
    }
    ps_config_free(own);
    if (lanes.count < 2)
        ps_lanes_done(&lanes);
    *ret_lanes = lanes;
}

void ps_lanes_done(struct ps_lanes *lanes)
{
    for (int i = 0; i < lanes->count; i++)
        ps_picker_free(lanes->items[i].picker);
    free(lanes->items);
    *lanes = (struct ps_lanes){0};
}
