/* Step 11 of the adaptive profile on the GPU: two Gaussians for each list of scores. On the host a
 * list of thousands takes milliseconds, all of a search a tenth of a second. */
#include "backend/cuda/adaptive.h"

#include <stdlib.h>
#include <string.h>

/* On the card: the values of all lists, probabilities of as many, the mixtures. */
int cuda_adaptive_mixtures(struct ps_slot *base, const struct ps_values *lists, int count,
                           struct ps_mixture *ret_mixtures, struct ps_error *error)
{
    struct cuda_slot *slot = (struct cuda_slot *)base;
    struct ps_mixture_jobs jobs;
    struct ps_mixture mixtures[PS_LANES];
    size_t total = 0;
    if (count > PS_LANES)
        return ps_fail(error, PS_E_BUG, "%d lists: at most %d expected", count, PS_LANES);
    for (int i = 0; i < count; i++) {
        jobs.first[i] = (int)total;
        jobs.count[i] = (int)lists[i].count;
        total += lists[i].count;
    }
    double *values = malloc((total + 1) * sizeof *values);
    if (!values)
        return ps_fail_memory(error, total * sizeof *values, "scores");
    for (int i = 0; i < count; i++)
        memcpy(values + jobs.first[i], lists[i].items, lists[i].count * sizeof *values);
    size_t bytes = 2 * total * sizeof *values + sizeof mixtures;
    int status = adaptive_reserve(slot, VALUES, cuda_generous(bytes), error);
    double *device = slot->adaptive->buffers[VALUES].data;
    struct ps_mixture *found = (struct ps_mixture *)(device + 2 * total);
    if (status == 0 && total > 0)
        status = cuda_send(slot, device, values, total * sizeof *values, error);
    free(values);
    /* Of lists too short for a mixture nothing is written. */
    if (status == 0)
        status = CU(cudaMemsetAsync(found, 0, (size_t)count * sizeof *found, slot->stream));
    if (status == 0)
        status = CU(
            ps_launch_adaptive_mixtures(device, device + total, &jobs, count, found, slot->stream));
    if (status == 0)
        status = cuda_receive(slot, mixtures, found, (size_t)count * sizeof *mixtures, error);
    for (int i = 0; i < count && status == 0; i++)
        if (jobs.count[i] > 1)
            ret_mixtures[i] = mixtures[i];
    return status;
}
