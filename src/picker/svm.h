/* A support vector machine with a radial kernel, trained by LIBSVM, for any number of features. */
#ifndef PS_PICKER_SVM_H
#define PS_PICKER_SVM_H

#include "pickstream.h"

struct ps_svm {
    size_t features; /* of a point */
    double gamma;    /* value = sum_j weight_j exp(-gamma |x - x_j|^2) - offset */
    double cost;
    double offset;
    size_t count;    /* of support vectors */
    double *support; /* count rows: features, weight; owned */
};

/* Trains on `count` points, rows of svm->features values, the first `positives` of one class, the
 * others of the other; classes weigh the same, whatever their size. Features, gamma and cost are
 * given, the rest is filled in. PS_E_NOMEM. */
int ps_svm_train(struct ps_svm *svm, const double *points, size_t count, size_t positives,
                 struct ps_error *error);
void ps_svm_done(struct ps_svm *svm);

/* Positive where the point is of the first class. */
double ps_svm_decide(const struct ps_svm *svm, const double *point);

#endif
