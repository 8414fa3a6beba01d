#include "publish/completion_queue.h"

#include "base/error.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

int ps_intake_init(struct ps_intake *intake, struct ps_error *error)
{
    (void)pthread_mutex_init(&intake->lock, NULL);
    (void)pthread_cond_init(&intake->room, NULL);
    intake->count = 0;
    intake->closed = false;
    intake->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (intake->wake_fd < 0)
        return ps_fail(error, PS_E_SYSTEM, "cannot make an eventfd: %s", strerror(errno));
    return 0;
}

void ps_intake_done(struct ps_intake *intake)
{
    if (intake->wake_fd >= 0)
        (void)close(intake->wake_fd);
    (void)pthread_cond_destroy(&intake->room);
    (void)pthread_mutex_destroy(&intake->lock);
}

void ps_intake_put(struct ps_intake *intake, struct ps_submission *submission)
{
    pthread_mutex_lock(&intake->lock);
    while (intake->count == PS_INTAKE)
        pthread_cond_wait(&intake->room, &intake->lock);
    intake->items[intake->count++] = *submission;
    pthread_mutex_unlock(&intake->lock);
    *submission = (struct ps_submission){0};
    (void)eventfd_write(intake->wake_fd, 1);
}

void ps_intake_close(struct ps_intake *intake)
{
    pthread_mutex_lock(&intake->lock);
    intake->closed = true;
    pthread_mutex_unlock(&intake->lock);
    (void)eventfd_write(intake->wake_fd, 1);
}

size_t ps_intake_take(struct ps_intake *intake, struct ps_submission *ret_items)
{
    pthread_mutex_lock(&intake->lock);
    size_t count = intake->count;
    memcpy(ret_items, intake->items, count * sizeof *ret_items);
    intake->count = 0;
    pthread_cond_broadcast(&intake->room);
    pthread_mutex_unlock(&intake->lock);
    return count;
}

size_t ps_intake_waiting(struct ps_intake *intake)
{
    pthread_mutex_lock(&intake->lock);
    size_t count = intake->count;
    pthread_mutex_unlock(&intake->lock);
    return count;
}

bool ps_intake_attend(struct ps_intake *intake)
{
    eventfd_t events;
    (void)eventfd_read(intake->wake_fd, &events);
    pthread_mutex_lock(&intake->lock);
    bool closed = intake->closed;
    pthread_mutex_unlock(&intake->lock);
    return closed;
}
