/* The bounded queue of completions between workers and publisher.
 *
 * Workers wait while it is full. The publisher is woken by a descriptor that it can poll beside its
 * sockets; it becomes readable when a completion is put and when the queue is closed.
 */
#ifndef PS_PUBLISH_COMPLETION_QUEUE_H
#define PS_PUBLISH_COMPLETION_QUEUE_H

#include "publish/completion.h"

#include <pthread.h>

enum { PS_MAX_QUEUED_COMPLETIONS = PS_MAX_COMMIT }; /* its capacity */

struct ps_completion_queue {
    pthread_mutex_t lock;
    pthread_cond_t not_full;
    struct ps_completion items[PS_MAX_QUEUED_COMPLETIONS];
    size_t count;
    bool closed;
    int wake_fd; /* eventfd; -1: not open */
};

/* Call ps_completion_queue_done() on failure too. PS_E_SYSTEM: no descriptor. */
int ps_completion_queue_init(struct ps_completion_queue *queue, struct ps_error *error);
void ps_completion_queue_done(struct ps_completion_queue *queue);

/* Moves a completion in; waits while the queue is full. Any thread. */
void ps_completion_queue_put(struct ps_completion_queue *queue, struct ps_completion *completion);

/* No put may follow. Any thread. */
void ps_completion_queue_close(struct ps_completion_queue *queue);

/* Moves all completions out, up to PS_MAX_QUEUED_COMPLETIONS; returns their number. Does not wait.
 */
size_t ps_completion_queue_take(struct ps_completion_queue *queue,
                                struct ps_completion *ret_completions);

/* The number of completions in the queue. */
size_t ps_completion_queue_waiting(struct ps_completion_queue *queue);

/* Makes the descriptor unreadable until the next put; returns true if the queue is closed. */
bool ps_completion_queue_clear_wake(struct ps_completion_queue *queue);

#endif
