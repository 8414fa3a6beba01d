#include "picker/model.h"

#include "base/error.h"
#include "picker/svm.h"

#include <math.h>
#include <stdlib.h>

/* apple-reference section 7; regularisation as the reference's libraries have it. */
static const double GAMMA = 0.5;
static const double COST = 1.0;
static const double BAYES_SMOOTHING = 1e-9;
static const double MIXTURE_REGULARISATION = 1e-6;
static const double MIXTURE_TOLERANCE = 1e-3;
enum { MIXTURE_ROUNDS = 100 };

/* A window in standardised features. */
struct point {
    double u;
    double v;
};

static struct point standardise(const struct ps_model *model, struct ps_feature feature)
{
    return (struct point){(feature.mean - model->centre.mean) / model->scale.mean,
                          (feature.deviation - model->centre.deviation) / model->scale.deviation};
}

static void fit_scaler(struct ps_model *model, const struct ps_feature *features, size_t count)
{
    double n = (double)count;
    struct ps_feature mean = {0};
    struct ps_feature square = {0};
    for (size_t i = 0; i < count; i++) {
        mean.mean += features[i].mean / n;
        mean.deviation += features[i].deviation / n;
    }
    for (size_t i = 0; i < count; i++) {
        square.mean += pow(features[i].mean - mean.mean, 2) / n;
        square.deviation += pow(features[i].deviation - mean.deviation, 2) / n;
    }
    model->centre = mean;
    model->scale.mean = square.mean > 0 ? sqrt(square.mean) : 1;
    model->scale.deviation = square.deviation > 0 ? sqrt(square.deviation) : 1;
}

/* ---- support vector machine -------------------------------------------------------------------
 */

static int train_svm(const struct point *points, size_t count, size_t positives,
                     struct ps_model *model, struct ps_error *error)
{
    _Static_assert(sizeof *points == 2 * sizeof(double), "two features a row");
    struct ps_svm svm = {.features = 2, .gamma = GAMMA, .cost = COST};
    int status = ps_svm_train(&svm, &points->u, count, positives, error);
    if (status)
        return status;
    model->form = PS_MODEL_RBF;
    model->gamma = svm.gamma;
    model->offset = svm.offset;
    model->support = svm.support;
    model->support_count = svm.count;
    return 0;
}

/* ---- Gaussians --------------------------------------------------------------------------------
 */

/* A weighted Gaussian in two dimensions. */
struct gaussian {
    double weight;
    struct point mean;
    double uu; /* covariance */
    double uv;
    double vv;
};

/* Moments of the points under the given shares; `regularisation` is added to both variances. */
static struct gaussian fit_gaussian(const struct point *points, const double *shares, size_t count,
                                    double regularisation)
{
    struct gaussian g = {0};
    for (size_t i = 0; i < count; i++) {
        g.weight += shares[i];
        g.mean.u += shares[i] * points[i].u;
        g.mean.v += shares[i] * points[i].v;
    }
    double n = g.weight > 0 ? g.weight : 1;
    g.mean.u /= n;
    g.mean.v /= n;
    for (size_t i = 0; i < count; i++) {
        double du = points[i].u - g.mean.u;
        double dv = points[i].v - g.mean.v;
        g.uu += shares[i] * du * du / n;
        g.uv += shares[i] * du * dv / n;
        g.vv += shares[i] * dv * dv / n;
    }
    g.uu += regularisation;
    g.vv += regularisation;
    g.weight /= (double)count;
    return g;
}

/* Adds sign * log(weight * density) to the coefficients c of 1, u, v, u^2, uv, v^2. */
static void add_log_density(const struct gaussian *g, double sign, double c[6])
{
    double determinant = g->uu * g->vv - g->uv * g->uv;
    double a = g->vv / determinant; /* inverse covariance: a, b; b, d */
    double b = -g->uv / determinant;
    double d = g->uu / determinant;
    double u = g->mean.u;
    double v = g->mean.v;
    c[0] += sign * (log(g->weight) - log(2 * M_PI) - 0.5 * log(determinant) -
                    0.5 * (a * u * u + 2 * b * u * v + d * v * v));
    c[1] += sign * (a * u + b * v);
    c[2] += sign * (b * u + d * v);
    c[3] += sign * -0.5 * a;
    c[4] += sign * -b;
    c[5] += sign * -0.5 * d;
}

static double quadratic_value(const double c[6], struct point p)
{
    return c[0] + c[1] * p.u + c[2] * p.v + c[3] * p.u * p.u + c[4] * p.u * p.v + c[5] * p.v * p.v;
}

static void naive_bayes(const struct point *points, double *shares, size_t count,
                        struct ps_model *model)
{
    for (int particle = 1; particle >= 0; particle--) {
        struct gaussian g = fit_gaussian(points, shares, count, BAYES_SMOOTHING);
        g.uv = 0;
        add_log_density(&g, particle ? 1 : -1, model->quadratic);
        for (size_t i = 0; i < count; i++)
            shares[i] = 1 - shares[i];
    }
}

/* Share of the second Gaussian in each point, from the first one's; returns the mean log
 * likelihood, which grows from round to round. */
static double expect(const struct point *points, const struct gaussian *first,
                     const struct gaussian *second, double *shares, size_t count)
{
    double one[6] = {0};
    double two[6] = {0};
    add_log_density(first, 1, one);
    add_log_density(second, 1, two);
    double likelihood = 0;
    for (size_t i = 0; i < count; i++) {
        double a = quadratic_value(one, points[i]);
        double b = quadratic_value(two, points[i]);
        double larger = a > b ? a : b;
        double both = larger + log(exp(a - larger) + exp(b - larger));
        shares[i] = exp(b - both);
        likelihood += both / (double)count;
    }
    return likelihood;
}

static void mixture(const struct point *points, double *shares, size_t count, size_t positives,
                    struct ps_model *model)
{
    struct gaussian g[2];
    double last = -INFINITY;
    for (int round = 0; round < MIXTURE_ROUNDS; round++) {
        g[1] = fit_gaussian(points, shares, count, MIXTURE_REGULARISATION);
        for (size_t i = 0; i < count; i++)
            shares[i] = 1 - shares[i];
        g[0] = fit_gaussian(points, shares, count, MIXTURE_REGULARISATION);
        double likelihood = expect(points, &g[0], &g[1], shares, count);
        if (likelihood - last < MIXTURE_TOLERANCE)
            break;
        last = likelihood;
    }
    double in_positives = 0;
    double in_negatives = 0;
    for (size_t i = 0; i < count; i++)
        *(i < positives ? &in_positives : &in_negatives) += shares[i];
    bool second = in_positives / (double)positives >= in_negatives / (double)(count - positives);
    add_log_density(&g[second], 1, model->quadratic);
    add_log_density(&g[!second], -1, model->quadratic);
}

/* ---- the model --------------------------------------------------------------------------------
 */

int ps_model_train(enum ps_classifier classifier, const struct ps_feature *features, size_t count,
                   size_t positives, struct ps_model *ret_model, struct ps_error *error)
{
    if (positives == 0 || positives >= count)
        return ps_fail(error, PS_E_INPUT, "no %s windows to train on",
                       positives ? "background" : "particle");
    size_t bytes = count * (sizeof(struct point) + sizeof(double));
    struct point *points = calloc(1, bytes);
    if (!points)
        return ps_fail_memory(error, bytes, "the training set");
    double *shares = (double *)(points + count);
    struct ps_model model = {.form = PS_MODEL_QUADRATIC};
    fit_scaler(&model, features, count);
    for (size_t i = 0; i < count; i++) {
        points[i] = standardise(&model, features[i]);
        shares[i] = i < positives ? 1 : 0;
    }
    int status = 0;
    switch (classifier) {
    case PS_CLASSIFIER_SVM:
        status = train_svm(points, count, positives, &model, error);
        break;
    case PS_CLASSIFIER_NAIVE_BAYES:
        naive_bayes(points, shares, count, &model);
        break;
    case PS_CLASSIFIER_MIXTURE:
        mixture(points, shares, count, positives, &model);
        break;
    }
    free(points);
    if (status == 0)
        *ret_model = model;
    return status;
}

void ps_model_done(struct ps_model *model)
{
    free(model->support);
    *model = (struct ps_model){0};
}

double ps_model_decide(const struct ps_model *model, struct ps_feature feature)
{
    struct point p = standardise(model, feature);
    if (model->form == PS_MODEL_QUADRATIC)
        return quadratic_value(model->quadratic, p);
    double sum = -model->offset;
    for (size_t j = 0; j < model->support_count; j++) {
        const double *s = model->support + 3 * j;
        sum += s[2] * exp(-model->gamma * (pow(p.u - s[0], 2) + pow(p.v - s[1], 2)));
    }
    return sum;
}
