/* The bounded queue between workers and publisher.
 *
 * Workers wait while it is full. Whoever takes is woken through a descriptor that can be polled
 * beside sockets; it becomes readable when something is put, and when the intake is closed.
 */
#ifndef PS_PUBLISH_COMPLETION_QUEUE_H
#define PS_PUBLISH_COMPLETION_QUEUE_H

#include "publish/completion.h"

#include <pthread.h>

enum { PS_INTAKE = PS_COMMIT }; /* submissions that wait, at most */

struct ps_intake {
    pthread_mutex_t lock;
    pthread_cond_t room;
    struct ps_submission items[PS_INTAKE];
    size_t count;
    bool closed;
    int wake_fd; /* eventfd, -1: could not be made */
};

/* To be freed with ps_intake_done() whatever it returns. PS_E_SYSTEM: no descriptor. */
int ps_intake_init(struct ps_intake *intake, struct ps_error *error);
void ps_intake_done(struct ps_intake *intake);

/* Moves a submission in; waits for room. Any thread. */
void ps_intake_put(struct ps_intake *intake, struct ps_submission *submission);

/* Nothing will be put any more. Any thread. */
void ps_intake_close(struct ps_intake *intake);

/* Moves all that wait (PS_INTAKE at most) out; returns how many. Does not wait. */
size_t ps_intake_take(struct ps_intake *intake, struct ps_submission *ret_items);

/* How many wait. */
size_t ps_intake_waiting(struct ps_intake *intake);

/* Makes the descriptor unreadable until the next event; returns whether the intake is closed. */
bool ps_intake_attend(struct ps_intake *intake);

#endif
