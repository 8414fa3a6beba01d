/* State of the adaptive profile in a slot of the CPU. */
#include "backend/cpu/adaptive.h"

#include "base/error.h"

#include <stdlib.h>

void cpu_fft_done(struct cpu_fft *fft)
{
    fftwf_plan plans[] = {fft->rows_forward, fft->rows_inverse, fft->columns_forward,
                          fft->columns_inverse};
    cpu_planner_lock();
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++)
        if (plans[i])
            fftwf_destroy_plan(plans[i]);
    cpu_planner_unlock();
    free(fft->cosines[0]);
    free(fft->cosines[1]);
    *fft = (struct cpu_fft){0};
}

struct cpu_adaptive *cpu_adaptive_of(struct cpu_slot *slot, struct ps_error *error)
{
    if (!slot->adaptive)
        slot->adaptive = calloc(1, sizeof *slot->adaptive);
    if (!slot->adaptive)
        (void)ps_fail_memory(error, sizeof *slot->adaptive, "the adaptive profile");
    return slot->adaptive;
}

static void work_done(struct cpu_work *work)
{
    struct cpu_buffer *buffers[] = {
        &work->response[0], &work->response[1], &work->score, &work->passing,
        &work->product,     &work->kernel,      &work->lines,
    };
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        free(buffers[i]->data);
}

void cpu_adaptive_done(struct cpu_slot *slot)
{
    struct cpu_adaptive *a = slot->adaptive;
    if (!a)
        return;
    struct cpu_buffer *buffers[] = {
        &a->unmasked,    &a->allowed,    &a->weight,   &a->channel[0], &a->channel[1],
        &a->inverse[0],  &a->inverse[1], &a->local[0], &a->local[1],   &a->spectrum[0],
        &a->spectrum[1], &a->spare[0],   &a->spare[1], &a->disk,       &a->area,
    };
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        free(buffers[i]->data);
    work_done(&a->work);
    for (int i = 0; i < CPU_ITEMS - 1; i++)
        work_done(&a->others[i]);
    for (int i = 0; i < CPU_FFTS; i++)
        cpu_fft_done(&a->ffts[i]);
    free(a);
    slot->adaptive = NULL;
}
