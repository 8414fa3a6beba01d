/* For tests of what the service publishes: a publisher with a real journal and real sockets,
 * completions of workers, and clients. Every wait has a limit, after which the test fails. */
#ifndef PUBLISHING_H
#define PUBLISHING_H

#include "journal/journal.h"
#include "publish/publisher.h"

#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zmq.h>

enum { LIMIT_SECONDS = 60, ENDPOINT = 200 };

struct service {
    char directory[64]; /* of the state */
    struct ps_config *config;
    struct ps_journal *journal;
    struct ps_log *log;
    struct ps_metrics *metrics;
    struct ps_publisher *publisher;
    char endpoint[ENDPOINT]; /* as bound */
    char replay[ENDPOINT];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t submitted;
    int64_t clock_ahead_ns; /* added to the time at which files are closed */
    size_t finished;
    size_t reopened; /* calls of the hook */
};

/* For cmocka: a struct service with a temporary directory, and its removal. */
int service_setup(void **state);
int service_teardown(void **state);

/* Sets keys ("a.b", "value", ..., NULL) in addition to the common ones: free loopback ports, ten
 * heartbeats a second. */
void service_configure(struct service *service, ...);

/* Starts it with this configuration; `service_try` returns the failure. */
void service_start(struct service *service);
int service_try(struct service *service, struct ps_error *error);
void service_stop(struct service *service);

/* Submits as a worker does: a micrograph "/data/NAME" with `picks` picks; one that failed with a
 * reason; one that was rejected. */
void submit(struct service *service, const char *name, size_t picks);
void submit_failure(struct service *service, const char *name, const char *reason);
void submit_rejection(struct service *service, const char *name, const char *reason);
void submit_many(struct service *service, size_t count, size_t picks);

/* A picked micrograph that is not submitted yet; the journal has it as seen. */
struct ps_completion picked(struct service *service, const char *name, size_t picks);

/* The number of jobs handed back since the setup, and waiting for it. */
size_t finished_count(struct service *service);
void wait_finished(struct service *service, size_t count);

/* ---- clients ---- */

struct client {
    void *context;
    void *socket;
};

/* A client that is not connected yet, so that options can be set. */
struct client client_new(int type);
void client_set(struct client *client, int option, int value);
void client_connect(struct client *client, const char *endpoint);
void client_close(struct client *client);

/* A SUB socket for picks and status whose subscriptions are in effect. */
struct client subscribe(const struct service *service);
/* A DEALER at the replay endpoint. */
struct client dealer(const struct service *service);

struct message {
    bool delimiter; /* an empty frame came first */
    size_t frames;  /* without it */
    char topic[32]; /* "" for a frame alone, an answer */
    char *text;     /* of the header */
    json_t *header;
    char *array;
    size_t array_size; /* bytes */
};

/* Waits for the next message. The caller empties it with message_done(). */
struct message receive(struct client *client);
/* The same without waiting; false: none waits. */
bool receive_now(struct client *client, struct message *ret_message);
void message_done(struct message *message);

/* The next message that is not a status. */
struct message receive_picks(struct client *client);

/* Sends a request unchanged. */
void ask(struct client *client, const char *request);
/* Sends a request and receives one answer of that type; a new reference. */
json_t *answer_to(struct client *client, const char *request, const char *type);

/* Values of a header: at(header, "a.b.c"). */
const json_t *at(const json_t *object, const char *path);
const char *text_at(const json_t *object, const char *path);
long long number_at(const json_t *object, const char *path);

/* Receives status messages until the number at `path` is at least that. */
void wait_status(struct client *subscriber, const char *path, long long least);

/* Makes writes of this process fail, and succeed again. */
void disk_full(bool full);

#endif
