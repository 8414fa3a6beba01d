/* The classifiers, against LIBSVM and scikit-learn, and the loops that apply them to many windows,
 * against the model's own definition. */
#include "backend/cpu/slot.h"
#include "formulas/decision.h"
#include "picker/model.h"

#include <libsvm/svm.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The first 16 show particle. Drawn, like the tables below, by
 *
 *   rng = np.random.default_rng(5)
 *   P = rng.multivariate_normal([812, 9.5], [[36, 3], [3, 1.2]], 16)
 *   N = rng.multivariate_normal([824, 8.0], [[49, -2], [-2, 0.5]], 24)
 *   X = np.vstack([P, N]).round(2)
 *   y = np.r_[np.ones(16), np.zeros(24)]
 */
enum { COUNT = 40, POSITIVES = 16 };
static const struct ps_feature windows[COUNT] = {
    {816.92, 8.63},  {813.46, 10.03}, {805.18, 9.02},  {815.38, 9.02},  {807.37, 10.70},
    {810.47, 8.17},  {817.62, 11.54}, {810.93, 7.72},  {812.60, 8.42},  {815.82, 9.35},
    {816.23, 10.40}, {812.43, 8.96},  {809.47, 10.09}, {821.88, 10.10}, {817.90, 9.84},
    {819.73, 10.18}, {824.26, 7.79},  {831.32, 7.44},  {831.60, 6.81},  {822.40, 7.35},
    {815.83, 8.80},  {837.99, 7.60},  {831.71, 7.70},  {823.64, 6.73},  {825.63, 7.77},
    {817.23, 7.51},  {818.80, 7.50},  {826.30, 7.36},  {813.87, 8.78},  {807.00, 9.12},
    {818.11, 8.79},  {828.24, 7.78},  {814.54, 8.13},  {822.68, 8.04},  {819.73, 7.94},
    {825.07, 8.11},  {823.26, 7.47},  {817.70, 7.42},  {832.37, 6.83},  {817.22, 8.05},
};

/* Windows to decide about: near, between, and far from both classes. */
enum { ASKED = 7 };
static const struct ps_feature asked[ASKED] = {
    {800, 7}, {812, 9.5}, {818, 8.7}, {824, 8}, {840, 12}, {790, 5.5}, {818, 30},
};

/*   Z = (X - X.mean(0)) / X.std(0)
 *   Q = (asked - X.mean(0)) / X.std(0)
 *   np.diff(GaussianNB().fit(Z, y)._joint_log_likelihood(Q))
 */
static const double naive_bayes_values[ASKED] = {
    -2.62397196435622, 4.545492649806723,  0.1705057294125516, -4.0955067835400305,
    5.411315707721524, -5.730453757255805, 435.68036303813835,
};

/* GaussianMixture takes one more step after the one that converged: its parameters before that are
 * those of max_iter = n_iter_ - 1, 3 here.
 *
 *   classes = [Z[y == c] for c in (0, 1)]
 *   cov = [np.cov(c.T, bias=True) + 1e-6 * np.eye(2) for c in classes]
 *   m = GaussianMixture(2, tol=1e-3, reg_covar=1e-6, max_iter=3, weights_init=[0.6, 0.4],
 *                       means_init=[c.mean(0) for c in classes],
 *                       precisions_init=np.linalg.inv(cov)).fit(Z)
 *   np.diff(m._estimate_weighted_log_prob(Q))
 */
static const double mixture_values[ASKED] = {
    4.053857961592085, 4.374300581191891,  0.07245424070447859, -4.853940209021023,
    47.81553515284154, 22.365610822058674, 957.6678199547757,
};

static struct ps_model train(enum ps_classifier classifier, const struct ps_feature *features,
                             size_t count, size_t positives)
{
    struct ps_error error;
    struct ps_model model;
    if (ps_model_train(classifier, features, count, positives, &model, &error))
        fail_msg("%s", error.message);
    return model;
}

static void assert_values(const struct ps_model *model, const double expected[ASKED])
{
    for (int i = 0; i < ASKED; i++) {
        double value = ps_model_decide(model, asked[i]);
        if (!(fabs(value - expected[i]) < 1e-6 * fmax(1, fabs(expected[i]))))
            fail_msg("window %d: %.9g, expected %.9g", i, value, expected[i]);
    }
}

/* ---- training -------------------------------------------------------------------------------- */

static void features_are_standardised(void **state)
{
    (void)state;
    /* X.mean(0), X.std(0) */
    struct ps_model model = train(PS_CLASSIFIER_NAIVE_BAYES, windows, COUNT, POSITIVES);
    assert_true(fabs(model.centre.mean - 819.24725) < 1e-9);
    assert_true(fabs(model.centre.deviation - 8.47475) < 1e-9);
    assert_true(fabs(model.scale.mean - 7.49579682) < 1e-7);
    assert_true(fabs(model.scale.deviation - 1.15454101) < 1e-7);
    ps_model_done(&model);
}

static void print_nothing(const char *text)
{
    (void)text;
}

/* LIBSVM's own answer for the same problem; it calls its first label positive, which is background
 * here. */
static void svm_decides_as_libsvm_does(void **state)
{
    (void)state;
    struct ps_model model = train(PS_CLASSIFIER_SVM, windows, COUNT, POSITIVES);
    struct svm_node nodes[COUNT][3];
    struct svm_node *rows[COUNT];
    double labels[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        const struct ps_feature *window = &windows[(i + POSITIVES) % COUNT];
        nodes[i][0] = (struct svm_node){1, (window->mean - model.centre.mean) / model.scale.mean};
        nodes[i][1] = (struct svm_node){2, (window->deviation - model.centre.deviation) /
                                               model.scale.deviation};
        nodes[i][2] = (struct svm_node){-1, 0};
        rows[i] = nodes[i];
        labels[i] = i < COUNT - POSITIVES ? 0 : 1;
    }
    int weight_labels[2] = {0, 1};
    double weights[2] = {COUNT / (2.0 * (COUNT - POSITIVES)), COUNT / (2.0 * POSITIVES)};
    struct svm_problem problem = {COUNT, labels, rows};
    struct svm_parameter parameter = {
        .svm_type = C_SVC,
        .kernel_type = RBF,
        .gamma = 0.5,
        .C = 1,
        .eps = 1e-3,
        .cache_size = 10,
        .shrinking = 1,
        .nr_weight = 2,
        .weight_label = weight_labels,
        .weight = weights,
    };
    svm_set_print_string_function(print_nothing);
    struct svm_model *svm = svm_train(&problem, &parameter);
    assert_int_equal(svm->l, model.support_count);
    int right = 0;
    for (int i = 0; i < COUNT + ASKED; i++) {
        struct ps_feature window = i < COUNT ? windows[i] : asked[i - COUNT];
        struct svm_node node[3] = {
            {1, (window.mean - model.centre.mean) / model.scale.mean},
            {2, (window.deviation - model.centre.deviation) / model.scale.deviation},
            {-1, 0},
        };
        double value;
        double label = svm_predict_values(svm, node, &value);
        double decided = ps_model_decide(&model, window);
        assert_true(fabs(decided + value) < 1e-9);
        assert_int_equal(decided > 0, label > 0);
        right += i < COUNT && (decided > 0) == (i < POSITIVES);
    }
    assert_true(right >= 32); /* the classes do overlap */
    svm_free_and_destroy_model(&svm);
    ps_model_done(&model);
}

static void naive_bayes_decides_as_sklearn_does(void **state)
{
    (void)state;
    struct ps_model model = train(PS_CLASSIFIER_NAIVE_BAYES, windows, COUNT, POSITIVES);
    assert_values(&model, naive_bayes_values);
    ps_model_done(&model);
}

static void mixture_decides_as_sklearn_does(void **state)
{
    (void)state;
    struct ps_model model = train(PS_CLASSIFIER_MIXTURE, windows, COUNT, POSITIVES);
    assert_values(&model, mixture_values);
    ps_model_done(&model);
}

static void one_class_is_refused(void **state)
{
    (void)state;
    for (int classifier = PS_CLASSIFIER_SVM; classifier <= PS_CLASSIFIER_MIXTURE; classifier++) {
        struct ps_error error;
        struct ps_model model = {.gamma = 7};
        assert_int_equal(
            ps_model_train((enum ps_classifier)classifier, windows, COUNT, 0, &model, &error),
            PS_E_INPUT);
        assert_string_equal(error.message, "no particle windows to train on");
        assert_int_equal(
            ps_model_train((enum ps_classifier)classifier, windows, COUNT, COUNT, &model, &error),
            PS_E_INPUT);
        assert_string_equal(error.message, "no background windows to train on");
        assert_true(model.gamma == 7);
    }
}

/* With any flat feature every decision is a number, and separable windows are separated. */
static void flat_features_do_no_harm(void **state)
{
    (void)state;
    struct ps_feature flat[4][COUNT];
    for (int i = 0; i < COUNT; i++) {
        flat[0][i] = (struct ps_feature){800, windows[i].deviation};
        flat[1][i] = (struct ps_feature){windows[i].mean, 0};
        flat[2][i] = (struct ps_feature){800, 5};
        flat[3][i] = (struct ps_feature){windows[i].mean, 2 * windows[i].mean}; /* a line */
    }
    for (int classifier = PS_CLASSIFIER_SVM; classifier <= PS_CLASSIFIER_MIXTURE; classifier++) {
        for (int kind = 0; kind < 4; kind++) {
            struct ps_model model =
                train((enum ps_classifier)classifier, flat[kind], COUNT, POSITIVES);
            int right = 0;
            for (int i = 0; i < COUNT; i++) {
                double value = ps_model_decide(&model, flat[kind][i]);
                assert_true(isfinite(value));
                right += (value > 0) == (i < POSITIVES);
            }
            if (kind != 2)
                assert_true(right > COUNT * 2 / 3);
            ps_model_done(&model);
        }
    }
}

static void single_examples_do_no_harm(void **state)
{
    (void)state;
    for (int classifier = PS_CLASSIFIER_SVM; classifier <= PS_CLASSIFIER_MIXTURE; classifier++) {
        const size_t cases[][2] = {{2, 1}, {COUNT, 1}, {COUNT, COUNT - 1}};
        for (size_t c = 0; c < 3; c++) {
            struct ps_model model =
                train((enum ps_classifier)classifier, windows, cases[c][0], cases[c][1]);
            for (int i = 0; i < ASKED; i++)
                assert_true(!isnan(ps_model_decide(&model, asked[i])));
            ps_model_done(&model);
        }
    }
}

/* ---- application ----------------------------------------------------------------------------- */

/* A slot that holds the moments of some windows: around the classes, and so far away that the
 * exponential underflows, or its argument overflows. */
enum { PER_SIDE = 101, WINDOWS = PER_SIDE * PER_SIDE };
static const double GREY = 800;

static struct cpu_slot *slot_with_moments(void)
{
    struct ps_error error;
    struct cpu_slot *slot = calloc(1, sizeof *slot);
    slot->base.windows = PER_SIDE;
    slot->base.grey_offset = GREY;
    if (cpu_buffer_reserve(&slot->mean, WINDOWS * sizeof(float), "means", &error) ||
        cpu_buffer_reserve(&slot->deviation, WINDOWS * sizeof(float), "deviations", &error))
        fail_msg("%s", error.message);
    float *mean = slot->mean.data;
    float *deviation = slot->deviation.data;
    for (int i = 0; i < WINDOWS; i++) {
        mean[i] = (float)(i % PER_SIDE) * 0.5F - 5;
        deviation[i] = (float)(i / PER_SIDE) * 0.1F + 4;
    }
    const float far[] = {1e3F, -1e4F, 1e10F, -1e19F, 1e30F, 60, -90, 300};
    for (int i = 0; i < 8; i++) {
        mean[i * 1000] = far[i];
        deviation[i * 1000 + 500] = fabsf(far[i]);
    }
    return slot;
}

static void slot_done(struct cpu_slot *slot)
{
    free(slot->mean.data);
    free(slot->deviation.data);
    free(slot->mask.data);
    free(slot);
}

static double decide_window(const struct ps_model *model, const struct cpu_slot *slot, int window)
{
    return ps_model_decide(
        model, (struct ps_feature){GREY + (double)((const float *)slot->mean.data)[window],
                                   (double)((const float *)slot->deviation.data)[window]});
}

/* Features are rounded to 2^-24 of some 10 standard deviations, the exponential to 1e-7, and the
 * weights, of magnitude 1, add up to some ten. */
static void instruction_sets_decide_alike(void **state)
{
    (void)state;
    struct ps_model model = train(PS_CLASSIFIER_SVM, windows, COUNT, POSITIVES);
    struct cpu_slot *slot = slot_with_moments();
    float support[3 * COUNT];
    struct ps_rbf rbf = ps_decision_rbf(&model, GREY, support);
    const struct ps_simd *list[PS_MAX_SIMD];
    size_t sets = ps_simd_list(list);
    float *values = malloc(WINDOWS * sizeof *values);
    for (size_t s = 0; s < sets; s++) {
        double worst = 0;
        list[s]->classify_rbf(&rbf, slot->mean.data, slot->deviation.data, WINDOWS, values);
        for (int i = 0; i < WINDOWS; i++) {
            double expected = decide_window(&model, slot, i);
            double difference = fabs((double)values[i] - expected);
            if (!(difference < 1e-5))
                fail_msg("%s, window %d: %.9g, expected %.9g", list[s]->name, i, (double)values[i],
                         expected);
            worst = fmax(worst, difference);
        }
        print_message("  %-8s largest difference %.2g\n", list[s]->name, worst);
        /* As many as asked for, and not one more. */
        for (size_t count = 0; count < 40; count++) {
            float some[41];
            for (size_t i = 0; i < 41; i++)
                some[i] = 12345;
            list[s]->classify_rbf(&rbf, slot->mean.data, slot->deviation.data, count, some);
            assert_memory_equal(some, values, count * sizeof *some);
            assert_true(some[count] == 12345);
        }
    }
    free(values);
    slot_done(slot);
    ps_model_done(&model);
}

/* The mask is the sign of the decision, up to windows that lie on the boundary. */
static void the_mask_is_the_sign(void **state)
{
    (void)state;
    const struct ps_simd *list[PS_MAX_SIMD];
    size_t sets = ps_simd_list(list);
    for (int classifier = PS_CLASSIFIER_SVM; classifier <= PS_CLASSIFIER_MIXTURE; classifier++) {
        struct ps_model model = train((enum ps_classifier)classifier, windows, COUNT, POSITIVES);
        struct cpu_slot *slot = slot_with_moments();
        slot->simd = list[sets - 1];
        for (slot->threads = 1; slot->threads <= 3; slot->threads += 2) {
            struct ps_error error;
            size_t particle = 0;
            if (cpu_classify(&slot->base, &model, &particle, &error))
                fail_msg("%s", error.message);
            const uint8_t *mask = slot->mask.data;
            size_t set = 0;
            for (int i = 0; i < WINDOWS; i++) {
                double value = decide_window(&model, slot, i);
                assert_true(mask[i] == 0 || mask[i] == 1);
                if (fabs(value) > 1e-3 && isfinite(value))
                    assert_int_equal(mask[i], value > 0);
                set += mask[i];
            }
            assert_int_equal(particle, set);
            assert_in_range(set, WINDOWS / 10, WINDOWS * 9 / 10);
        }
        slot_done(slot);
        ps_model_done(&model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(features_are_standardised),
        cmocka_unit_test(svm_decides_as_libsvm_does),
        cmocka_unit_test(naive_bayes_decides_as_sklearn_does),
        cmocka_unit_test(mixture_decides_as_sklearn_does),
        cmocka_unit_test(one_class_is_refused),
        cmocka_unit_test(flat_features_do_no_harm),
        cmocka_unit_test(single_examples_do_no_harm),
        cmocka_unit_test(instruction_sets_decide_alike),
        cmocka_unit_test(the_mask_is_the_sign),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
