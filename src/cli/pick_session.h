/* A run of `pick`: picks micrographs, small ones side by side and large ones with all threads,
 * writes their files and prints a line for each. */
#ifndef PS_CLI_PICK_SESSION_H
#define PS_CLI_PICK_SESSION_H

#include "cli/accuracy.h"
#include "cli/inputs.h"
#include "cli/lanes.h"
#include "cli/pick_output.h"
#include "cli/progress.h"
#include "config/config.h"
#include "picker/picker.h"
#include "picker/scale.h"

#include <pthread.h>

struct ps_pick_session {
    /* Set by the command, borrowed: */
    const struct ps_config *config;
    const char *truth;            /* directory of true centres, or NULL */
    double tolerance;             /* px; see ps_accuracy_compare() */
    struct ps_picker *picker;     /* with all threads */
    struct ps_pick_output output; /* its progress is that of the session */
    char *profile;
    size_t before; /* micrographs done in an earlier run */

    /* The session's own: */
    const struct ps_found_list *list;
    struct ps_lane first;  /* with the picker above */
    struct ps_lanes lanes; /* beside each other */
    off_t most_bytes;      /* of a file that they take */
    pthread_mutex_t lock;  /* of what follows, and of the output */
    struct ps_image image; /* as picked last; no pixels */
    struct ps_progress progress;
    struct ps_accuracy total;  /* against the truth */
    char scale[PS_SCALE_TEXT]; /* as stated last */
    size_t picked;
    size_t rejected;
    size_t failed;
    size_t done; /* in this run */
    size_t picks;
    bool unlisted; /* the list could not be saved */
    bool complete; /* every micrograph had its turn, and the list is saved */
};

/* Picks all micrographs of the list, until it is interrupted or the device fails. Returns enum
 * ps_exit. */
int ps_pick_session_run(struct ps_pick_session *session, const struct ps_found_list *list);

#endif
