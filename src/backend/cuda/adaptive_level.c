/* Levels of the adaptive profile on the GPU: the diameters of a batch, and their data for the
 * kernels. */
#include "backend/cuda/adaptive.h"

#include <stdlib.h>

static const double DEVIATIONS[GAUSSES] = {
    [GAUSS_FINE] = PS_DETAIL_FINE,
    [GAUSS_COARSE] = PS_DETAIL_COARSE,
    [GAUSS_TENTH] = PS_ENERGY_SMOOTHING, /* equals PS_INTENSITY_SMOOTHING */
    [GAUSS_EIGHTH] = PS_DETAIL_SMOOTHING,
};

/* Data of a level that its description points to. */
struct level_data {
    float weights[GAUSSES][PS_MAX_GAUSS_RADIUS + 1];
    int area[]; /* (2 reach + 2)^2, then (2 reach + 1)^2 pairs of shorts */
};

static size_t level_bytes(int reach)
{
    size_t side = 2 * (size_t)reach + 1;
    size_t bytes = sizeof(struct level_data) + (side + 1) * (side + 1) * sizeof(int) +
                   side * side * sizeof(short[2]);
    return (bytes + 15) / 16 * 16;
}

static short (*level_pixels(struct level_data *data, int reach))[2]
{
    size_t side = 2 * (size_t)reach + 2;
    return (short(*)[2])(data->area + side * side);
}

/* Lists the pixels ring by ring, each ring in the order of rows, and counts those inside the disk.
 * The first pass finds the lengths of the rings, the second stores the pixels. */
static void list_rings(struct ps_adaptive_level *level, short (*ret_pixels)[2])
{
    int reach = level->reach;
    int length[PS_MAX_RINGS] = {0};
    for (int y = -reach; y <= reach; y++) {
        for (int x = -reach; x <= reach; x++) {
            double r = ps_radius(x, y);
            int ring = ps_ring(r);
            if (ring >= level->rings)
                continue;
            length[ring]++;
            level->in_disk[ring] += r <= level->limit;
            level->disk += r <= level->limit;
        }
    }
    int next[PS_MAX_RINGS];
    level->first[0] = 0;
    for (int ring = 0; ring < level->rings; ring++) {
        next[ring] = level->first[ring];
        level->first[ring + 1] = level->first[ring] + length[ring];
    }
    for (int y = -reach; y <= reach; y++) {
        for (int x = -reach; x <= reach; x++) {
            int ring = ps_ring(ps_radius(x, y));
            if (ring >= level->rings)
                continue;
            short *pixel = ret_pixels[next[ring]++];
            pixel[0] = (short)x;
            pixel[1] = (short)y;
        }
    }
}

static void sum_area(const struct ps_adaptive_level *level, int *ret_area)
{
    int side = 2 * level->reach + 1;
    for (int y = 1; y <= side; y++) {
        int row = 0;
        for (int x = 1; x <= side; x++) {
            row += ps_radius(x - 1 - level->reach, y - 1 - level->reach) <= level->limit;
            ret_area[y * (side + 1) + x] = ret_area[(y - 1) * (side + 1) + x] + row;
        }
    }
}

/* Computes the data of level `index`, to be copied to `device`. */
static int level_describe(struct cuda_adaptive *a, int index, struct level_data *data, char *device,
                          struct ps_adaptive_level *ret_level, struct ps_error *error)
{
    struct adaptive_level *level = &a->level[index];
    struct ps_adaptive_level *out = ret_level;
    out->limit = PS_TEMPLATE_REACH * level->diameter_field_px;
    out->reach = level->reach;
    out->rings = level->rings;
    short(*pixels)[2] = level_pixels(data, level->reach);
    list_rings(out, pixels);
    sum_area(out, data->area);
    out->area = (const int *)(device + offsetof(struct level_data, area));
    out->pixels = (const short(*)[2])(device + ((char *)pixels - (char *)data));
    for (int g = 0; g < GAUSSES; g++) {
        double sigma = DEVIATIONS[g] * level->diameter_field_px;
        level->radii[g] = ps_gauss_radius(sigma);
        if (level->radii[g] > PS_MAX_GAUSS_RADIUS)
            return ps_fail(error, PS_E_BUG, "a Gaussian of %g px", sigma);
        ps_gauss_weights(sigma, data->weights[g]);
        level->weights[g] = (const float *)device + (size_t)g * (PS_MAX_GAUSS_RADIUS + 1);
    }
    return 0;
}

int adaptive_send_levels(struct cuda_slot *slot, struct ps_error *error)
{
    struct cuda_adaptive *a = slot->adaptive;
    size_t begin = PS_MAX_LEVELS * sizeof(struct ps_adaptive_level);
    size_t bytes = begin;
    for (int i = 0; i < a->levels; i++)
        bytes += level_bytes(a->level[i].reach);
    int status = adaptive_reserve(slot, LEVELS, cuda_round_up_pow2(bytes), error);
    if (status)
        return status;
    char *host = calloc(1, bytes);
    if (!host)
        return ps_fail_memory(error, bytes, "templates");
    struct ps_adaptive_level *levels = (struct ps_adaptive_level *)host;
    size_t at = begin;
    for (int i = 0; i < a->levels && status == 0; i++) {
        status = level_describe(a, i, (struct level_data *)(host + at),
                                (char *)a->buffers[LEVELS].data + at, &levels[i], error);
        at += level_bytes(a->level[i].reach);
    }
    if (status == 0)
        status = cuda_send(slot, a->buffers[LEVELS].data, host, bytes, error);
    free(host);
    return status;
}

bool adaptive_find_levels(struct cuda_adaptive *a, const double *diameters_field_px, int count,
                          bool add)
{
    for (int i = 0; i < count; i++) {
        int level = 0;
        while (level < a->levels && a->level[level].diameter_field_px != diameters_field_px[i])
            level++;
        if (level == a->levels && (!add || level == PS_MAX_LEVELS))
            return false;
        if (level == a->levels)
            a->level[a->levels++] = (struct adaptive_level){
                .diameter_field_px = diameters_field_px[i],
                .reach = ps_template_reach(diameters_field_px[i]),
                .rings = ps_template_rings(diameters_field_px[i]),
            };
        a->level_of[i] = (short)level;
    }
    return true;
}
