/* The accuracy of picks for micrographs with known centres.
 *
 * Picks and true centres are matched one to one within the tolerance, as many as possible (a
 * maximum matching: independent of the order of the picks). Picks without a match near a centre of
 * the ignore list (for example particles on ice or carbon) count neither as right nor as wrong. If
 * such a pick and another one can match the same centre, the other one does.
 */
#ifndef PS_CLI_ACCURACY_H
#define PS_CLI_ACCURACY_H

#include "pickstream.h"

struct ps_points {
    double (*xy)[2]; /* px */
    size_t count;
};

struct ps_accuracy {
    size_t picks; /* without ignored ones */
    size_t truth;
    size_t matched;
};

/* Reads NAME_truth.star or NAME_truth.txt (x y in each line) of a micrograph's name, without its
 * extension, in `directory`, and NAME_ignore.txt or .star if it exists. Free the points with
 * ps_points_done(). PS_E_INPUT: no truth, or not in that format. */
int ps_truth_read(const char *directory, const char *name, struct ps_points *ret_truth,
                  struct ps_points *ret_ignored, struct ps_error *error);
void ps_points_done(struct ps_points *points);

/* Matches picks with the truth; `tolerance` and `ignore_radius` in px. PS_E_NOMEM. */
int ps_accuracy_measure(const struct ps_pick *picks, size_t count, const struct ps_points *truth,
                        const struct ps_points *ignored, double tolerance, double ignore_radius,
                        struct ps_accuracy *ret_accuracy, struct ps_error *error);

/* Compares a result with the truth of the micrograph `name` in `directory`, and adds to `total`.
 * `tolerance`: px, or 0 for half the diameter. The errors of both functions above. */
int ps_accuracy_compare(const char *directory, const char *name, const struct ps_result *result,
                        double tolerance, struct ps_accuracy *ret_accuracy,
                        struct ps_accuracy *total, struct ps_error *error);

/* ", precision 0.912, recall 0.853, F1 0.881" */
enum { PS_ACCURACY_TEXT = 96 };
void ps_accuracy_text(const struct ps_accuracy *accuracy, char ret_text[PS_ACCURACY_TEXT]);

/* 0 if undefined. */
double ps_accuracy_precision(const struct ps_accuracy *accuracy);
double ps_accuracy_recall(const struct ps_accuracy *accuracy);
double ps_accuracy_f1(const struct ps_accuracy *accuracy);

#endif
