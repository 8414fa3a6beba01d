/* Stages of the aspire profile on the GPU (real or emulated), beyond what the picker covers: every
 * path that computes a score, and many kinds of masks.
 *
 * Limits: responses 1e-5 of the largest one, because float32 transforms differ by 1e-6; scores
 * differ at no more than 2 of 1,000 windows, those whose correlation is near the threshold; regions
 * equal. */
#include "backend/cpu/slot.h"
#include "backend/cuda/aspire.h"

#include "base/error.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- both backends --------------------------------------------------------------------------- */

static struct ps_backend *backends[2]; /* CPU, GPU; none without a GPU */
static struct ps_slot *slots[2];

#define CPU_SLOT ((struct cpu_slot *)slots[0])
#define GPU_SLOT ((struct cuda_slot *)slots[1])

#define NEEDS_GPU()                                                                                \
    do {                                                                                           \
        (void)state;                                                                               \
        if (!backends[1])                                                                          \
            skip();                                                                                \
    } while (0)

static void must(int status, const struct ps_error *error)
{
    if (status)
        fail_msg("%s", error->message);
}

static int open_both(void **state)
{
    (void)state;
    static const char *const names[2] = {"cpu", "cuda"};
    struct ps_error error;
    for (int i = 0; i < 2; i++) {
        const struct ps_backend_options options = {.threads = 1};
        const struct ps_backend_ops *ops = i ? &ps_backend_cuda : &ps_backend_cpu;
        if (ops->open(&options, &backends[i], &error)) {
            print_message("no %s to compare: %s\n", names[i], error.message);
            return 0;
        }
        must(ops->slot_new(backends[i], &slots[i], &error), &error);
    }
    return 0;
}

static int close_both(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        if (slots[i])
            backends[i]->ops->slot_free(slots[i]);
        if (backends[i])
            backends[i]->ops->close(backends[i]);
    }
    return 0;
}

/* Waves about as long as the windows, and noise, so that windows respond differently. */
static float *micrograph(int width, int height, int query)
{
    float *pixels = malloc((size_t)width * (size_t)height * sizeof *pixels);
    assert_non_null(pixels);
    uint32_t random = 1;
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            random = random * 1664525u + 1013904223u;
            pixels[(size_t)y * (size_t)width + (size_t)x] =
                500 +
                40 * sinf(3 * (float)x / (float)query) * cosf(2.7F * (float)y / (float)query) +
                (float)(random >> 16) / 1300;
        }
    }
    return pixels;
}

/* Runs both slots up to the references, with windows of `query` px in a working image of `side`. */
static void prepare(int side, int query, int container)
{
    int width = 2 * side + 9;
    int height = 2 * side + 3;
    float *pixels = micrograph(width, height, query);
    const struct ps_image image = {pixels, PS_PIXEL_F32, width, height, 0};
    const struct ps_crop crop = {4, 1, 2 * side};
    for (int i = 0; i < 2; i++) {
        const struct ps_backend_ops *ops = backends[i]->ops;
        struct ps_pixel_report report;
        struct ps_error error;
        must(ops->upload(slots[i], &image, &report, &error), &error);
        must(ops->preprocess(slots[i], &crop, &error), &error);
        must(ops->moments(slots[i], query, &error), &error);
        must(ops->references_choose(slots[i], container, &error), &error);
    }
    free(pixels);
}

/* ---- score ----------------------------------------------------------------------------------- */

static size_t queries(void)
{
    return (size_t)slots[0]->queries * (size_t)slots[0]->queries;
}

static int32_t *scores_of(int which)
{
    size_t bytes = queries() * sizeof(int32_t);
    int32_t *scores = malloc(bytes);
    struct ps_error error;
    assert_non_null(scores);
    must(backends[which]->ops->fetch(slots[which], PS_BUFFER_SCORE, scores, bytes, &error), &error);
    return scores;
}

static size_t different(const int32_t *a, const int32_t *b)
{
    size_t count = 0;
    for (size_t i = 0; i < queries(); i++)
        count += a[i] != b[i];
    return count;
}

/* Largest difference between the GPU's responses, in groups of `lanes` queries, and those of FFTW,
 * relative to the largest response. */
static double response_error(size_t lanes)
{
    size_t references = (size_t)slots[0]->references;
    size_t groups = (queries() + lanes - 1) / lanes;
    size_t bytes = groups * lanes * references * sizeof(float);
    float *gpu = malloc(bytes);
    struct ps_error error;
    assert_non_null(gpu);
    must(cuda_receive(GPU_SLOT, gpu, GPU_SLOT->aspire->responses.data, bytes, &error), &error);
    must(cpu_score_responses(CPU_SLOT, NULL, &error), &error);
    const float *cpu = CPU_SLOT->responses.data;
    double largest = 0;
    double difference = 0;
    for (size_t i = 0; i < queries(); i++) {
        for (size_t r = 0; r < references; r++) {
            double expected = (double)cpu[i * references + r];
            double got = (double)gpu[(i / lanes * references + r) * lanes + i % lanes];
            assert_true(isfinite(got));
            largest = fmax(largest, fabs(expected));
            difference = fmax(difference, fabs(got - expected));
        }
    }
    free(gpu);
    return difference / largest;
}

/* Checks one path, with all responses kept and in three pieces. */
static void check_path(const char *name, enum cuda_score_path path, size_t lanes,
                       const int32_t *expected)
{
    struct ps_error error;
    must(cuda_score_by(GPU_SLOT, path, CUDA_MAX_KEPT_BYTES, &error), &error);
    int32_t *scores = scores_of(1);
    double difference = response_error(lanes);
    size_t moved = different(scores, expected);
    print_message("  q %3d %s, %2zu lanes: responses %.2g, %zu of %zu scores differ\n",
                  slots[1]->query, name, lanes, difference, moved, queries());
    assert_true(difference < 1e-5);
    assert_true(moved * 1000 <= 2 * queries());
    size_t third =
        (queries() / lanes / 3 + 1) * lanes * (size_t)slots[1]->references * sizeof(float);
    must(cuda_score_by(GPU_SLOT, path, third, &error), &error);
    int32_t *again = scores_of(1);
    assert_memory_equal(again, scores, queries() * sizeof *scores);
    free(again);
    free(scores);
}

/* Shared memory per block of old to new GPUs. */
static const int shared_limits[] = {48 << 10, 64 << 10, 99 << 10, 227 << 10};

static void scores_agree(void **state)
{
    NEEDS_GPU();
    static const int sizes[] = {2, 4, 6, 10, 16, 20, 22, 26, 30, 32, 34, 60, 84, 98};
    struct cuda_backend *cuda = GPU_SLOT->cuda;
    const int limit = cuda->shared_limit;
    unsigned seen = 0; /* lane numbers, as a mask */
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int q = sizes[i];
        int side = q < 30 ? 4 * q + 3 : 2 * q + q / 2 + 1;
        struct ps_error error;
        prepare(side, q, q + q / 2);
        must(backends[0]->ops->score(slots[0], &error), &error);
        int32_t *expected = scores_of(0);
        check_path("plain", CUDA_SCORE_PLAIN, 1, expected);
        size_t tried = 0;
        for (size_t l = 0; l < sizeof shared_limits / sizeof *shared_limits; l++) {
            struct ps_fused shape;
            bool fits = ps_score_fused_plan(q, (int)queries(), slots[1]->references,
                                            shared_limits[l], cuda->multiprocessors, &shape);
            if (shared_limits[l] > limit || !fits || (size_t)shape.lanes == tried)
                continue;
            cuda->shared_limit = shared_limits[l];
            tried = (size_t)shape.lanes;
            seen |= (unsigned)tried;
            check_path("fused", CUDA_SCORE_BEST, tried, expected);
        }
        cuda->shared_limit = limit;
        free(expected);
    }
    if (limit >= shared_limits[sizeof shared_limits / sizeof *shared_limits - 1])
        assert_int_equal(seen, 1 | 2 | 4 | 8 | 16);
}

/* ---- regions --------------------------------------------------------------------------------- */

enum { SIDE = 150, QUERY = 12, WINDOWS = SIDE - QUERY + 1 };

/* Masks that test labelling: empty, full, noise from sparse to dense, a checkerboard, a cross, a
 * snake and its complement, rings. */
static bool painted(int kind, int x, int y, uint32_t random)
{
    bool snake = y % 2 == 0 || (y % 4 == 1 && x == WINDOWS - 1) || (y % 4 == 3 && x == 0);
    int dx = x % 40 - 20;
    int dy = y % 40 - 20;
    switch (kind) {
    case 0:
        return false;
    case 1:
        return true;
    case 2:
        return random % 100 < 41;
    case 3:
        return random % 100 < 59;
    case 4:
        return random % 1000 > 1;
    case 5:
        return (x ^ y) & 1;
    case 6:
        return x != WINDOWS / 2 && y != WINDOWS / 3;
    case 7:
        return snake;
    case 8:
        return !snake;
    default:
        return dx * dx + dy * dy < 225 && dx * dx + dy * dy > (y > WINDOWS / 2 ? 9 : -1);
    }
}
enum { KINDS = 10 };

static void paint(int kind, uint8_t *ret_mask)
{
    uint32_t random = 7;
    for (int y = 0; y < WINDOWS; y++) {
        for (int x = 0; x < WINDOWS; x++) {
            random = random * 1664525u + 1013904223u;
            ret_mask[y * WINDOWS + x] = painted(kind, x, y, random >> 8);
        }
    }
}

static void put(const uint8_t *mask)
{
    struct ps_error error;
    memcpy(CPU_SLOT->mask.data, mask, (size_t)WINDOWS * WINDOWS);
    must(cuda_send(GPU_SLOT, GPU_SLOT->aspire->mask.data, mask, (size_t)WINDOWS * WINDOWS, &error),
         &error);
}

/* Returns the number of regions. */
static size_t compare_regions(int before, int after)
{
    struct ps_region *regions[2];
    size_t counts[2];
    for (int i = 0; i < 2; i++) {
        struct ps_error error;
        must(backends[i]->ops->regions(slots[i], before, after, &regions[i], &counts[i], &error),
             &error);
    }
    assert_int_equal(counts[1], counts[0]);
    if (counts[0])
        assert_memory_equal(regions[1], regions[0], counts[0] * sizeof *regions[0]);
    free(regions[0]);
    free(regions[1]);
    return counts[0];
}

static void regions_are_equal(void **state)
{
    NEEDS_GPU();
    static const int radii[][2] = {{0, 2}, {3, 9}, {4, 4}, {9, 3}, {1, 1000000}};
    static uint8_t mask[WINDOWS * WINDOWS];
    static uint8_t cleaned[2][WINDOWS * WINDOWS];
    const struct ps_model model = {.scale = {1, 1}, .form = PS_MODEL_QUADRATIC};
    prepare(SIDE, QUERY, 40);
    for (int i = 0; i < 2; i++) {
        struct ps_error error;
        size_t particle = 1;
        must(backends[i]->ops->classify(slots[i], &model, &particle, &error), &error);
        assert_int_equal(particle, 0);
    }
    size_t found = 0;
    for (int kind = 0; kind < KINDS; kind++) {
        paint(kind, mask);
        put(mask);
        found += compare_regions(0, 0);
        found += compare_regions(2, 5);
        for (size_t r = 0; r < sizeof radii / sizeof *radii; r++) {
            put(mask);
            for (int i = 0; i < 2; i++) {
                struct ps_error error;
                must(backends[i]->ops->clean(slots[i], radii[r][0], radii[r][1], &error), &error);
                must(backends[i]->ops->fetch(slots[i], PS_BUFFER_MASK, cleaned[i], sizeof mask,
                                             &error),
                     &error);
            }
            assert_memory_equal(cleaned[1], cleaned[0], sizeof mask);
            found += compare_regions(5, 6);
        }
    }
    print_message("  %zu regions\n", found);
    assert_true(found > 1000);
    assert_int_equal(compare_regions(WINDOWS, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_agree),
        cmocka_unit_test(regions_are_equal),
    };
    return cmocka_run_group_tests(tests, open_both, close_both);
}
