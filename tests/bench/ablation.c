/* Picks of the adaptive profile with one of its rules left out, for tests/bench/accuracy.py:
 *
 *     ablation RULE DIAMETER FILE      x y score of each pick, a line each
 *
 * RULE is one of those below; "none" leaves nothing out, "everything" prints all candidates. */
#include "config/config.h"
#include "image/micrograph.h"
#include "picker/picker.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool leave_out(const char *rule, struct ps_adaptive_rules *rules, struct ps_config *config)
{
    if (strcmp(rule, "none") == 0)
        return true;
    if (strcmp(rule, "everything") == 0)
        rules->everything = true;
    else if (strcmp(rule, "coarse search") == 0)
        rules->coarse = 0;
    else if (strcmp(rule, "frame") == 0)
        rules->frame = 0;
    else if (strcmp(rule, "energy channel") == 0)
        rules->energy = false;
    else if (strcmp(rule, "support vectors") == 0)
        rules->support = false;
    else if (strcmp(rule, "outliers") == 0)
        rules->outlier = 0;
    else if (strcmp(rule, "clean search") == 0)
        rules->contaminant = 0;
    else if (strcmp(rule, "strange windows") == 0)
        rules->strange = false;
    else if (strcmp(rule, "parts") == 0)
        rules->part = 0;
    else if (strcmp(rule, "contenders") == 0)
        rules->contender = 0;
    else if (strcmp(rule, "more noise") == 0)
        rules->nulls = 1;
    else if (strcmp(rule, "learning") == 0)
        rules->coarse_rounds = rules->fine_rounds = 0;
    else if (strcmp(rule, "contaminants") == 0)
        return ps_config_set(config, "picker.mask_contaminants", "no", NULL) == 0;
    else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    struct ps_error error = {.message = "ablation RULE DIAMETER FILE"};
    struct ps_adaptive_rules rules = ps_adaptive_rules;
    struct ps_config *config = ps_config_new();
    struct ps_picker *picker = NULL;
    struct ps_micrograph *micrograph = NULL;
    struct ps_result result = {0};
    int status = argc == 4 && config && leave_out(argv[1], &rules, config) ? 0 : PS_E_CONFIG;
    if (status == 0)
        status = ps_config_set(config, "picker.particle_diameter", argv[2], &error);
    if (status == 0)
        status = ps_picker_new(config, &picker, &error);
    struct ps_read_options options = {.movies = PS_MOVIES_SKIP,
                                      .max_pixels = config ? config->compute.max_pixels : 0};
    if (status == 0)
        status = ps_micrograph_read(argv[3], &options, &micrograph, &error);
    if (status == 0) {
        picker->rules = &rules;
        status = ps_picker_pick(picker, &micrograph->image, &result, &error);
    }
    if (status)
        (void)fprintf(stderr, "ablation: %s\n", error.message);
    (void)printf("# %s\n", result.unreliable ? "unreliable" : "reliable");
    for (size_t i = 0; i < result.count; i++)
        (void)printf("%g %g %g\n", (double)result.picks[i].x, (double)result.picks[i].y,
                     (double)result.picks[i].score);
    ps_result_done(&result);
    ps_micrograph_free(micrograph);
    ps_picker_free(picker);
    ps_config_free(config);
    return status ? 1 : 0;
}
