/* Fuzzes the requests of clients: each gets an answer that is a message with a type, whatever it
 * is. The first byte of an input has bit 0: at the control socket; bit 1: an empty frame comes
 * first; bit 2: the body is sent twice. The rest is the body. */
#include "base/log.h"
#include "base/metrics.h"
#include "publish/request.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

enum { CONTROL = 1, DELIMITER = 2, TWICE = 4 };

static struct {
    void *router;
    void *dealer;
    struct ps_request_dependencies dependencies;
    char directory[64];
} service;

static json_t *state(void *context)
{
    (void)context;
    return json_pack("{s:s}", "type", "status");
}

/* The journal is open to the end, but nothing of it stays behind. */
static void remove_directory(void)
{
    char command[100];
    (void)snprintf(command, sizeof command, "rm -rf %s", service.directory);
    if (system(command) != 0)
        abort();
}

static void start(void)
{
    struct ps_error error;
    struct ps_journal *journal = NULL;
    strcpy(service.directory, "/tmp/pickstream-fuzz-XXXXXX");
    if (!mkdtemp(service.directory) || ps_journal_open(service.directory, &journal, &error) != 0)
        abort();
    (void)atexit(remove_directory);
    void *context = zmq_ctx_new();
    service.router = zmq_socket(context, ZMQ_ROUTER);
    service.dealer = zmq_socket(context, ZMQ_DEALER);
    if (zmq_bind(service.router, "inproc://requests") != 0 ||
        zmq_connect(service.dealer, "inproc://requests") != 0)
        abort();
    struct ps_metrics *metrics = ps_metrics_new();
    service.dependencies = (struct ps_request_dependencies){
        .journal = journal,
        .metrics = metrics,
        .replays = ps_replays_new(journal, NULL, metrics),
        .hello = state,
        .status = state,
    };
}

static void ask(uint8_t how, const uint8_t *body, size_t length)
{
    if (how & DELIMITER)
        (void)zmq_send(service.dealer, "", 0, ZMQ_SNDMORE);
    if (how & TWICE)
        (void)zmq_send(service.dealer, body, length, ZMQ_SNDMORE);
    (void)zmq_send(service.dealer, body, length, 0);
}

/* Receives a frame. True: there are more. */
static bool receive(char *text, size_t size)
{
    int more;
    size_t more_size = sizeof more;
    int received = zmq_recv(service.dealer, text, size - 1, ZMQ_DONTWAIT);
    if (received < 0)
        abort(); /* no answer */
    text[(size_t)received < size ? (size_t)received : size - 1] = '\0';
    (void)zmq_getsockopt(service.dealer, ZMQ_RCVMORE, &more, &more_size);
    return more != 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    if (length < 1)
        return -1;
    if (!service.router)
        start();
    char text[4096];
    ask(bytes[0], bytes + 1, length - 1);
    ps_requests_serve(&service.dependencies, service.router, bytes[0] & CONTROL);
    while (ps_replays_proceed(service.dependencies.replays) >= 0)
        ;
    while (receive(text, sizeof text))
        ;
    json_t *answer = json_loads(text, 0, NULL);
    if (!json_is_string(json_object_get(answer, "type")))
        abort();
    json_decref(answer);
    if (zmq_recv(service.dealer, text, sizeof text, ZMQ_DONTWAIT) >= 0)
        abort(); /* a second answer */
    return 0;
}
