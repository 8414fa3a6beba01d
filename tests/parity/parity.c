#include "parity.h"

#include "base/error.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct parity_profile parity_aspire = {"aspire", {340, 352, "20px"}};
/* On the emulation a pick takes seconds at any size, and least at a small one. */
struct parity_profile parity_adaptive = {
    "adaptive", {PARITY_EMULATED ? 45 : 61, PARITY_EMULATED ? 45 : 61, "8px"}};

static bool has_gpu;

int parity_find_gpu(void **state)
{
    struct ps_error error;
    struct ps_backend *backend = NULL;
    (void)state;
    has_gpu = ps_backend_open("cuda", 0, 0, true, &backend, &error) == 0;
    if (has_gpu)
        backend->ops->close(backend);
    else
        print_message("no GPU to compare: %s\n", error.message);
    return 0;
}

void parity_need_gpu(void)
{
    if (!has_gpu)
        skip();
}

struct test_image parity_image(const struct parity_profile *profile)
{
    const struct parity_size *size = &profile->size;
    return test_image_new(size->width, size->height, strtod(size->diameter, NULL), 2);
}

struct ps_config *parity_config(const char *profile, const char *backend, const char *diameter)
{
    return picking_config(SETTINGS("picker.profile", profile, "compute.backend", backend,
                                   "picker.particle_diameter", diameter, "picker.container_size",
                                   "60"));
}

struct ps_picker *parity_picker(const char *profile, const char *backend, const char *diameter)
{
    struct ps_error error;
    struct ps_picker *picker = NULL;
    struct ps_config *config = parity_config(profile, backend, diameter);
    if (ps_picker_new(config, &picker, &error))
        fail_msg("%s", error.message);
    ps_config_free(config);
    return picker;
}

double parity_share(const struct ps_result *a, const struct ps_result *b)
{
    size_t kept = 0;
    for (size_t i = 0; i < a->count; i++) {
        bool near = false;
        for (size_t j = 0; j < b->count && !near; j++)
            near = hypot((double)a->picks[i].x - (double)b->picks[j].x,
                         (double)a->picks[i].y - (double)b->picks[j].y) <= 2;
        kept += near;
    }
    return a->count ? (double)kept / (double)a->count : 1;
}

void parity_assert_agree(const struct ps_result *cpu, const struct ps_result *gpu)
{
    assert_int_equal(cpu->outcome, gpu->outcome);
    assert_string_equal(cpu->reason, gpu->reason);
    assert_memory_equal(cpu->unpicked_margin, gpu->unpicked_margin, sizeof cpu->unpicked_margin);
    assert_int_equal(cpu->unreliable, gpu->unreliable);
    assert_int_equal(cpu->warning_count, gpu->warning_count);
    for (size_t i = 0; i < cpu->warning_count; i++)
        assert_string_equal(cpu->warnings[i], gpu->warnings[i]);
    double found = parity_share(cpu, gpu);
    double right = parity_share(gpu, cpu);
    print_message("  %zu picks on the CPU, %zu on the GPU, %.4g and %.4g of them near\n",
                  cpu->count, gpu->count, found, right);
    assert_true(found >= 0.99);
    assert_true(right >= 0.99);
}
