#include "subscribe/control.h"

#include "base/descriptors.h"
#include "base/error.h"
#include "wire/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

enum { TIMEOUT_MS = 10000 };

/* Reads the header of an answer: the last frame, because control answers have no arrays. */
static int receive_answer(void *socket, json_t **ret_answer, struct ps_error *error)
{
    json_t *answer = NULL;
    int more = 1;
    size_t size = sizeof more;
    while (more) {
        zmq_msg_t message;
        zmq_msg_init(&message);
        if (zmq_msg_recv(&message, socket, 0) < 0) {
            zmq_msg_close(&message);
            json_decref(answer);
            return ps_fail(error, PS_E_SYSTEM, "no answer from the service: %s",
                           zmq_strerror(zmq_errno()));
        }
        json_decref(answer);
        answer = NULL;
        int status = ps_json_parse(zmq_msg_data(&message), zmq_msg_size(&message),
                                   "the service's answer is not a message", &answer, error);
        zmq_msg_close(&message);
        if (status == PS_E_NOMEM)
            return status;
        zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size);
    }
    const char *type = json_string_value(json_object_get(answer, "type"));
    if (type && strcmp(type, "error") == 0) {
        const char *reason = json_string_value(json_object_get(answer, "reason"));
        int status = ps_fail(error, PS_E_SYSTEM, "the service says: %s", reason ? reason : "error");
        json_decref(answer);
        return status;
    }
    if (!type) {
        json_decref(answer);
        return ps_fail(error, PS_E_SYSTEM, "the service's answer is not a message");
    }
    *ret_answer = answer;
    return 0;
}

static int exchange(void *socket, const char *endpoint, const json_t *request, json_t **ret_answer,
                    struct ps_error *error)
{
    const int timeout = TIMEOUT_MS;
    const int linger = 0;
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout, sizeof timeout);
    zmq_setsockopt(socket, ZMQ_SNDTIMEO, &timeout, sizeof timeout);
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    char *text = ps_json_dump(request, JSON_COMPACT);
    if (!text)
        return ps_fail_memory(error, 1, "a request");
    int status = 0;
    if (zmq_connect(socket, endpoint) != 0 || zmq_send(socket, text, strlen(text), 0) < 0)
        status = ps_fail(error, PS_E_SYSTEM, "%s: %s", endpoint, zmq_strerror(zmq_errno()));
    free(text);
    return status ? status : receive_answer(socket, ret_answer, error);
}

/* ZeroMQ would retry until the timeout and not report the reason. A missing socket is not an error
 * here: the service may still be starting, and the request waits for it. */
static int check_permission(const char *path, struct ps_error *error)
{
    if (access(path, W_OK) == 0 || errno != EACCES)
        return 0;
    return ps_fail(error, PS_E_SYSTEM, "%s: %s: run this as root, or as the user of the service",
                   path, strerror(EACCES));
}

int ps_control_ask(const char *state_directory, json_t *request, json_t **ret_answer,
                   struct ps_error *error)
{
    static const char scheme[] = "ipc://";
    enum { DESCRIPTORS = 12 }; /* of ZeroMQ's context and the socket */
    char *endpoint = NULL;
    if (ps_descriptors_check(DESCRIPTORS, error)) {
        json_decref(request);
        return PS_E_SYSTEM;
    }
    void *context = zmq_ctx_new();
    void *socket = context ? zmq_socket(context, ZMQ_DEALER) : NULL;
    int status;
    if (!request || !socket ||
        asprintf(&endpoint, "%s%s/control.sock", scheme, state_directory) < 0) {
        endpoint = NULL;
        status = ps_fail_memory(error, 1, "a request");
    } else {
        status = check_permission(endpoint + strlen(scheme), error);
        if (status == 0)
            status = exchange(socket, endpoint, request, ret_answer, error);
    }
    free(endpoint);
    json_decref(request);
    if (socket)
        zmq_close(socket);
    if (context)
        zmq_ctx_term(context);
    return status;
}
