#include "picker/svm.h"

#include "base/error.h"
#include "base/spare_memory.h"

#include <libsvm/svm.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

/* As the reference's libraries have them. */
static const double TOLERANCE = 1e-3;
static const double CACHE_MEGABYTES = 200;

static void print_nothing(const char *text)
{
    (void)text;
}

static void silence_libsvm(void)
{
    svm_set_print_string_function(print_nothing);
}

/* What LIBSVM returns, in our form. Its first label is the second class: signs turn. */
static int take_support(const struct svm_model *model, struct ps_svm *svm, struct ps_error *error)
{
    size_t count = (size_t)model->l;
    size_t row = svm->features + 1;
    double *support = calloc(row * count + 1, sizeof *support);
    if (!support)
        return ps_fail_memory(error, row * count * sizeof *support, "support vectors");
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < svm->features; k++)
            support[row * i + k] = model->SV[i][k].value;
        support[row * i + svm->features] = -model->sv_coef[0][i];
    }
    svm->offset = -model->rho[0];
    svm->support = support;
    svm->count = count;
    return 0;
}

/* The second class goes in first, as the reference's library orders the classes: the solver then
 * takes the same path. */
int ps_svm_train(struct ps_svm *svm, const double *points, size_t count, size_t positives,
                 struct ps_error *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, silence_libsvm);
    size_t n = svm->features;
    size_t bytes =
        count * (sizeof(double) + sizeof(struct svm_node *) + (n + 1) * sizeof(struct svm_node));
    /* LIBSVM does not check: its cache, and less than 20 numbers and pointers for each point. */
    int status = ps_spare_memory_check(
        (size_t)CACHE_MEGABYTES * (1 << 20) + 20 * count * sizeof(double), "the classifier", error);
    if (status)
        return status;
    struct svm_node *nodes = malloc(bytes);
    if (!nodes)
        return ps_fail_memory(error, bytes, "the training set");
    struct svm_node **rows = (struct svm_node **)(nodes + (n + 1) * count);
    double *labels = (double *)(rows + count);
    for (size_t i = 0; i < count; i++) {
        const double *point = points + (i + positives) % count * n;
        rows[i] = nodes + (n + 1) * i;
        for (size_t k = 0; k < n; k++)
            rows[i][k] = (struct svm_node){(int)k + 1, point[k]};
        rows[i][n] = (struct svm_node){-1, 0};
        labels[i] = i < count - positives ? 0 : 1;
    }
    int weight_labels[2] = {0, 1};
    double weights[2] = {(double)count / (2 * (double)(count - positives)),
                         (double)count / (2 * (double)positives)};
    struct svm_problem problem = {(int)count, labels, rows};
    struct svm_parameter parameter = {
        .svm_type = C_SVC,
        .kernel_type = RBF,
        .gamma = svm->gamma,
        .C = svm->cost,
        .eps = TOLERANCE,
        .cache_size = CACHE_MEGABYTES,
        .shrinking = 1,
        .nr_weight = 2,
        .weight_label = weight_labels,
        .weight = weights,
    };
    struct svm_model *model = svm_train(&problem, &parameter);
    status = take_support(model, svm, error);
    svm_free_and_destroy_model(&model);
    free(nodes);
    return status;
}

void ps_svm_done(struct ps_svm *svm)
{
    free(svm->support);
    *svm = (struct ps_svm){0};
}

double ps_svm_decide(const struct ps_svm *svm, const double *point)
{
    double sum = -svm->offset;
    for (size_t j = 0; j < svm->count; j++) {
        const double *s = svm->support + j * (svm->features + 1);
        double square = 0;
        for (size_t k = 0; k < svm->features; k++)
            square += (point[k] - s[k]) * (point[k] - s[k]);
        sum += s[svm->features] * exp(-svm->gamma * square);
    }
    return sum;
}
