/* The responses of query windows to references: every path that computes them, against the sum that
 * defines them (apple-reference section 5) and against each other. */
#include "backend/cpu/slot.h"
#include "synth/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Sides of windows: the smallest, halves that are odd and even, prime and not, and one of more
 * outputs than any block of the loops holds. */
static const int query_sides[] = {2, 4, 6, 8, 10, 14, 16, 20, 26, 40, 52, 130};
enum { QUERY_SIDES = sizeof query_sides / sizeof *query_sides };

/* Float32 sums of q^2 products and a running error of a few units in the last place a pass: 6e-8
 * times the square root of some hundred terms. Of the largest response. */
static const double TOLERANCE = 2e-6;

/* 7 x 7 queries, one more than whole vectors of 4, 8 and 16; 36 references (16 at q = 2), two and a
 * quarter of FFTW's batches. */
enum { QUERIES = 49, MAX_REFERENCES = 36 };

struct stage {
    struct ps_backend *backend;
    struct ps_slot *slot;
    size_t references;
    size_t pairs;     /* queries x references */
    float *responses; /* queries x references */
};

/* A slot that is ready to score: noise on a slope, far from grey 0. */
static struct stage stage_open(int q, int threads)
{
    struct stage stage = {.responses = calloc(QUERIES * MAX_REFERENCES, sizeof(float))};
    struct ps_error error;
    int side = 2 * 4 * q + 1;
    int container = q > 2 ? 4 * q / 3 : 3;
    float *pixels = calloc((size_t)side * (size_t)side, sizeof *pixels);
    struct ps_random random = ps_random_new(7, (uint64_t)q, 0);
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++)
            pixels[(size_t)y * (size_t)side + (size_t)x] =
                (float)(800 + 30.0 * x / side + 7 * ps_random_normal(&random));
    struct ps_image image = {pixels, PS_PIXEL_F32, side, side, 1};
    struct ps_crop crop = {0, 0, side};
    struct ps_backend_options options = {.threads = threads};
    struct ps_pixel_report report;
    const struct ps_backend_ops *ops = &ps_backend_cpu;
    if (ops->open(&options, &stage.backend, &error) ||
        ops->slot_new(stage.backend, &stage.slot, &error) ||
        ops->upload(stage.slot, &image, &report, &error) ||
        ops->preprocess(stage.slot, &crop, &error) || ops->moments(stage.slot, q, &error) ||
        ops->references_choose(stage.slot, container, &error))
        fail_msg("%s", error.message);
    free(pixels);
    assert_int_equal(stage.slot->queries, 7);
    assert_int_equal(stage.slot->references, q > 2 ? MAX_REFERENCES : 16);
    stage.references = (size_t)stage.slot->references;
    stage.pairs = QUERIES * stage.references;
    return stage;
}

static void stage_close(struct stage *stage)
{
    ps_backend_cpu.slot_free(stage->slot);
    ps_backend_cpu.close(stage->backend);
    free(stage->responses);
}

/* The responses that a slot holds, [block][reference][lane], as [query][reference]. */
static void unpack(struct stage *stage, int lanes_of_path)
{
    const float *packed = ((struct cpu_slot *)stage->slot)->responses.data;
    size_t lanes = (size_t)lanes_of_path;
    for (size_t query = 0; query < QUERIES; query++)
        for (size_t r = 0; r < stage->references; r++)
            stage->responses[query * stage->references + r] =
                packed[(query / lanes * stage->references + r) * lanes + query % lanes];
}

static void respond(struct stage *stage, const struct ps_simd *simd)
{
    struct ps_error error;
    if (cpu_score_responses((struct cpu_slot *)stage->slot, simd, &error))
        fail_msg("%s", error.message);
    unpack(stage, simd ? simd->lanes : 1);
}

static double largest(const float *values, size_t count)
{
    double value = 0;
    for (size_t i = 0; i < count; i++)
        value = fmax(value, fabs((double)values[i]));
    return value;
}

/* Largest value of the circular cross-correlation of two q x q windows minus its mean. */
static double correlate(int q, const float *reference, const float *query, size_t stride)
{
    double best = -INFINITY;
    double sum_of_all = 0;
    for (int sy = 0; sy < q; sy++) {
        for (int sx = 0; sx < q; sx++) {
            double sum = 0;
            for (int y = 0; y < q; y++) {
                const float *row = query + (size_t)y * stride;
                const float *shifted = reference + (size_t)((y + sy) % q) * (size_t)q;
                for (int x = 0; x < q - sx; x++)
                    sum += (double)row[x] * (double)shifted[x + sx];
                for (int x = q - sx; x < q; x++)
                    sum += (double)row[x] * (double)shifted[x + sx - q];
            }
            best = fmax(best, sum);
            sum_of_all += sum;
        }
    }
    return best - sum_of_all / ((double)q * q);
}

static void check_against_definition(const struct stage *stage, int q)
{
    struct ps_error error;
    size_t side = (size_t)stage->slot->side;
    size_t half = (size_t)q / 2;
    size_t pixels = (size_t)q * (size_t)q;
    float *image = malloc(side * side * sizeof *image);
    float *references = malloc(stage->references * pixels * sizeof *references);
    if (ps_backend_cpu.fetch(stage->slot, PS_BUFFER_PREPROCESSED, image,
                             side * side * sizeof *image, &error) ||
        ps_backend_cpu.fetch(stage->slot, PS_BUFFER_REFERENCES, references,
                             stage->references * pixels * sizeof *references, &error))
        fail_msg("%s", error.message);
    double scale = largest(stage->responses, stage->pairs);
    /* All pairs of small windows; of large ones as many as a second allows. */
    size_t step = q <= 10 ? 1 : q <= 26 ? 53 : q <= 52 ? 307 : 1001;
    for (size_t pair = 0; pair < stage->pairs; pair += step) {
        size_t query = pair / stage->references;
        size_t r = pair % stage->references;
        const float *window = image + query / 7 * half * side + query % 7 * half;
        double expected = correlate(q, references + r * pixels, window, side);
        double error_of_pair = fabs(expected - (double)stage->responses[pair]) / scale;
        if (!(error_of_pair < TOLERANCE))
            fail_msg("q = %d, query %zu, reference %zu: %g, expected %g", q, query, r,
                     (double)stage->responses[pair], expected);
    }
    free(references);
    free(image);
}

/* Not counting NULL, which is FFTW. */
static size_t list_simd(const struct ps_simd *ret_list[PS_MAX_SIMD])
{
    size_t count = ps_simd_list(ret_list);
    assert_true(count >= 1 && count <= PS_MAX_SIMD);
    return count;
}

static void responses_are_what_defines_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < QUERY_SIDES; i++) {
        struct stage stage = stage_open(query_sides[i], 2);
        respond(&stage, NULL);
        check_against_definition(&stage, query_sides[i]);
        stage_close(&stage);
    }
}

static void instruction_sets_agree_with_fftw(void **state)
{
    (void)state;
    const struct ps_simd *list[PS_MAX_SIMD];
    size_t sets = list_simd(list);
    double worst[PS_MAX_SIMD] = {0};
    for (size_t i = 0; i < QUERY_SIDES; i++) {
        struct stage stage = stage_open(query_sides[i], 2);
        respond(&stage, NULL);
        float *plain = malloc(stage.pairs * sizeof *plain);
        memcpy(plain, stage.responses, stage.pairs * sizeof *plain);
        double scale = largest(plain, stage.pairs);
        for (size_t s = 0; s < sets; s++) {
            respond(&stage, list[s]);
            for (size_t k = 0; k < stage.pairs; k++) {
                double error = fabs((double)stage.responses[k] - (double)plain[k]) / scale;
                worst[s] = fmax(worst[s], error);
                if (!(error < TOLERANCE))
                    fail_msg("%s, q = %d, pair %zu: %g, FFTW %g", list[s]->name, query_sides[i], k,
                             (double)stage.responses[k], (double)plain[k]);
            }
        }
        free(plain);
        stage_close(&stage);
    }
    for (size_t s = 0; s < sets; s++)
        print_message("  %-8s largest difference from FFTW %.2g\n", list[s]->name, worst[s]);
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    const struct ps_simd *list[PS_MAX_SIMD + 1] = {NULL};
    size_t paths = 1 + list_simd(list + 1);
    struct stage one = stage_open(26, 1);
    struct stage three = stage_open(26, 3);
    for (size_t p = 0; p < paths; p++) {
        respond(&one, list[p]);
        respond(&three, list[p]);
        assert_memory_equal(one.responses, three.responses, one.pairs * sizeof *one.responses);
    }
    stage_close(&one);
    stage_close(&three);
}

/* One slot goes through windows of several sides, as from micrograph to micrograph. */
static void a_slot_remembers_nothing(void **state)
{
    (void)state;
    struct ps_error error;
    struct stage stage = stage_open(26, 2);
    struct stage fresh = stage_open(26, 2);
    respond(&fresh, NULL);
    for (int q = 40; q >= 14; q -= 26)
        if (ps_backend_cpu.moments(stage.slot, q, &error) ||
            ps_backend_cpu.references_choose(stage.slot, 2 * q, &error) ||
            ps_backend_cpu.score(stage.slot, &error))
            fail_msg("%s", error.message);
    if (ps_backend_cpu.moments(stage.slot, 26, &error) ||
        ps_backend_cpu.references_choose(stage.slot, 4 * 26 / 3, &error))
        fail_msg("%s", error.message);
    respond(&stage, NULL);
    assert_memory_equal(stage.responses, fresh.responses, stage.pairs * sizeof *stage.responses);
    stage_close(&stage);
    stage_close(&fresh);
}

static void counts_responses_above_a_twentieth(void **state)
{
    (void)state;
    const struct ps_simd *list[PS_MAX_SIMD];
    size_t sets = list_simd(list);
    for (size_t s = 0; s < sets; s++) {
        for (int q = 4; q <= 40; q += 12) {
            struct stage stage = stage_open(q, 2);
            struct cpu_slot *slot = (struct cpu_slot *)stage.slot;
            slot->simd = list[s];
            struct ps_error error;
            if (ps_backend_cpu.score(stage.slot, &error))
                fail_msg("%s", error.message);
            unpack(&stage, list[s]->lanes);
            float least = stage.responses[0];
            float most = stage.responses[0];
            for (size_t i = 0; i < stage.pairs; i++) {
                least = fminf(least, stage.responses[i]);
                most = fmaxf(most, stage.responses[i]);
            }
            float threshold = least + (most - least) / 20;
            int32_t score[QUERIES];
            assert_int_equal(
                ps_backend_cpu.fetch(stage.slot, PS_BUFFER_SCORE, score, sizeof score, &error), 0);
            int total = 0;
            for (size_t query = 0; query < QUERIES; query++) {
                int32_t count = 0;
                for (size_t r = 0; r < stage.references; r++)
                    count += stage.responses[query * stage.references + r] >= threshold;
                assert_int_equal(score[query], count);
                total += count;
            }
            assert_in_range(total, 1, stage.pairs - 1);
            stage_close(&stage);
        }
    }
}

/* Too many responses to keep: computed again for the counting, with the same scores. */
static void scores_do_not_depend_on_what_is_kept(void **state)
{
    (void)state;
    struct stage stage = stage_open(16, 2);
    struct cpu_slot *slot = (struct cpu_slot *)stage.slot;
    struct ps_error error;
    int32_t kept[QUERIES];
    int32_t again[QUERIES];
    assert_int_equal(ps_backend_cpu.score(stage.slot, &error), 0);
    assert_int_equal(ps_backend_cpu.fetch(stage.slot, PS_BUFFER_SCORE, kept, sizeof kept, &error),
                     0);
    size_t bytes = slot->responses.bytes;
    free(slot->responses.data);
    slot->responses = (struct cpu_buffer){0};
    memset(slot->score.data, 0, sizeof kept);
    slot->max_kept_bytes = 0;
    assert_int_equal(ps_backend_cpu.score(stage.slot, &error), 0);
    assert_true(slot->responses.bytes < bytes);
    assert_int_equal(ps_backend_cpu.fetch(stage.slot, PS_BUFFER_SCORE, again, sizeof again, &error),
                     0);
    assert_memory_equal(kept, again, sizeof kept);
    stage_close(&stage);
}

/* Beyond what pays, the loops give way to FFTW. */
static void large_windows_go_by_fftw(void **state)
{
    (void)state;
    const struct ps_simd *list[PS_MAX_SIMD];
    (void)list_simd(list);
    assert_ptr_equal(cpu_score_choose(list[0], 26), list[0]);
    assert_null(cpu_score_choose(list[0], 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(responses_are_what_defines_them),
        cmocka_unit_test(instruction_sets_agree_with_fftw),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(a_slot_remembers_nothing),
        cmocka_unit_test(counts_responses_above_a_twentieth),
        cmocka_unit_test(scores_do_not_depend_on_what_is_kept),
        cmocka_unit_test(large_windows_go_by_fftw),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
