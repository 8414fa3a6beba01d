/* What the people at a microscope want to be told, found by comparing the status of the service
 * with the one before: no part of the service knows of it. Without threads and clocks. */
#ifndef PS_SERVICE_NOTICES_H
#define PS_SERVICE_NOTICES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* X(NAME, name): the name is the value of "event". */
#define PS_NOTICE_MAP(X)                                                                           \
    X(SESSION_BEGAN, session_began) /* an outcome, the first one or after session_idle */          \
    X(SESSION_IDLE, session_idle)   /* no outcome for notify.idle_seconds */                       \
    X(UNRELIABLE, unreliable)       /* picked, but no more found than in noise */                  \
    X(DEVICE_FAILED, device_failed)                                                                \
    X(DISK_FULL, disk_full)                                                                        \
    X(JOURNAL_FAILED, journal_failed) /* for another reason than a full disk */                    \
    X(OUTPUT_FAILED, output_failed)   /* files of picks, likewise */                               \
    X(SHARE_GONE, share_gone)         /* a watched directory is missing */                         \
    X(SHARE_BACK, share_back)

#define X(NAME, name) PS_NOTICE_##NAME,
enum ps_notice { PS_NOTICE_MAP(X) PS_NOTICE_COUNT };
#undef X

const char *ps_notice_name(enum ps_notice notice);

/* Receives a notice: how many events it stands for, and a sentence about them. */
typedef void ps_notice_report(void *context, enum ps_notice notice, uint64_t count,
                              const char *text);

/* All zero at the start. */
struct ps_notices {
    json_t *before; /* the last status */
    bool active;    /* a session has begun and is not idle */
    int64_t outcome_ns;
};

/* Compares a status (pickstream-messages(7)) with the last one, and reports what has changed. The
 * first one is compared with a service without problems and without outcomes in this run. */
void ps_notices_look(struct ps_notices *notices, json_t *status, int64_t now_ns, int64_t idle_ns,
                     ps_notice_report *report, void *context);
void ps_notices_done(struct ps_notices *notices);

#endif
