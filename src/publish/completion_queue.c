#include "publish/completion_queue.h"

#include "base/error.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

int ps_completion_queue_init(struct ps_completion_queue *queue, struct ps_error *error)
{
    (void)pthread_mutex_init(&queue->lock, NULL);
    (void)pthread_cond_init(&queue->not_full, NULL);
    queue->count = 0;
    queue->closed = false;
    queue->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (queue->wake_fd < 0)
        return ps_fail(error, PS_E_SYSTEM, "cannot make an eventfd: %s", strerror(errno));
    return 0;
}

void ps_completion_queue_done(struct ps_completion_queue *queue)
{
    if (queue->wake_fd >= 0)
        (void)close(queue->wake_fd);
    (void)pthread_cond_destroy(&queue->not_full);
    (void)pthread_mutex_destroy(&queue->lock);
}

void ps_completion_queue_put(struct ps_completion_queue *queue, struct ps_completion *completion)
{
    pthread_mutex_lock(&queue->lock);
    while (queue->count == PS_MAX_QUEUED_COMPLETIONS)
        pthread_cond_wait(&queue->not_full, &queue->lock);
    queue->items[queue->count++] = *completion;
    pthread_mutex_unlock(&queue->lock);
    *completion = (struct ps_completion){0};
    (void)eventfd_write(queue->wake_fd, 1);
}

void ps_completion_queue_close(struct ps_completion_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    pthread_mutex_unlock(&queue->lock);
    (void)eventfd_write(queue->wake_fd, 1);
}

size_t ps_completion_queue_take(struct ps_completion_queue *queue,
                                struct ps_completion *ret_completions)
{
    pthread_mutex_lock(&queue->lock);
    size_t count = queue->count;
    memcpy(ret_completions, queue->items, count * sizeof *ret_completions);
    queue->count = 0;
    pthread_cond_broadcast(&queue->not_full);
    pthread_mutex_unlock(&queue->lock);
    return count;
}

size_t ps_completion_queue_waiting(struct ps_completion_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    size_t count = queue->count;
    pthread_mutex_unlock(&queue->lock);
    return count;
}

bool ps_completion_queue_clear_wake(struct ps_completion_queue *queue)
{
    eventfd_t events;
    (void)eventfd_read(queue->wake_fd, &events);
    pthread_mutex_lock(&queue->lock);
    bool closed = queue->closed;
    pthread_mutex_unlock(&queue->lock);
    return closed;
}
