#include "publish/subscriptions.h"

#include "base/clock.h"
#include "publish/connection.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

static const int64_t second_ns = 1000000000;

struct topic {
    uint8_t length;
    char text[PS_MAX_TOPIC_BYTES];
};

/* A connection; its place in the table is its descriptor. */
struct client {
    uint64_t cookie; /* 0: no connection */
    struct topic *topics;
    size_t count;
    size_t bytes;      /* of the topics, one more than the length for each */
    unsigned changes;  /* messages since `begin_ns` */
    int64_t begin_ns;  /* monotonic */
    bool disconnected; /* what it had sent before can still arrive */
};

struct ps_subscriptions {
    void *xpub;
    struct ps_gate *gate;
    struct ps_log *log;
    struct ps_metrics *metrics;
    struct client *clients;
    size_t capacity;
    size_t bytes;       /* of the topics of all clients */
    bool ended;         /* a connection has ended, */
    bool changed;       /* or a client subscribed, since connections were looked at */
    int64_t checked_ns; /* monotonic: when they were */
};

struct ps_subscriptions *ps_subscriptions_new(void *xpub, struct ps_gate *gate, struct ps_log *log,
                                              struct ps_metrics *metrics)
{
    struct ps_subscriptions *subscriptions = calloc(1, sizeof *subscriptions);
    if (!subscriptions)
        return NULL;
    subscriptions->xpub = xpub;
    subscriptions->gate = gate;
    subscriptions->log = log;
    subscriptions->metrics = metrics;
    return subscriptions;
}

void ps_subscriptions_free(struct ps_subscriptions *subscriptions)
{
    if (!subscriptions)
        return;
    for (size_t i = 0; i < subscriptions->capacity; i++)
        free(subscriptions->clients[i].topics);
    free(subscriptions->clients);
    free(subscriptions);
}

/* ---- connections ------------------------------------------------------------------------------
 */

static void drop_topics(struct ps_subscriptions *subscriptions, struct client *client)
{
    subscriptions->bytes -= client->bytes;
    free(client->topics);
    client->topics = NULL;
    client->count = client->bytes = 0;
}

static void forget(struct ps_subscriptions *subscriptions, struct client *client)
{
    drop_topics(subscriptions, client);
    *client = (struct client){0};
}

/* The connection behind a descriptor; NULL: it has ended, or there is no memory. */
static struct client *client_of(struct ps_subscriptions *subscriptions, int fd)
{
    uint64_t cookie = fd >= 0 ? ps_connection_cookie(fd) : 0;
    if (!cookie)
        return NULL;
    size_t number = (size_t)fd;
    if (number >= subscriptions->capacity) {
        size_t capacity = 2 * number + 16;
        struct client *clients =
            realloc(subscriptions->clients, capacity * sizeof *subscriptions->clients);
        if (!clients)
            return NULL;
        memset(clients + subscriptions->capacity, 0,
               (capacity - subscriptions->capacity) * sizeof *clients);
        subscriptions->clients = clients;
        subscriptions->capacity = capacity;
    }
    struct client *client = &subscriptions->clients[number];
    if (client->cookie != cookie)
        forget(subscriptions, client);
    client->cookie = cookie;
    return client;
}

/* Forgets the connections that have ended, and sets the gauge. */
static void check_connections(struct ps_subscriptions *subscriptions, int64_t now)
{
    size_t count = 0;
    for (size_t i = 0; i < subscriptions->capacity; i++) {
        struct client *client = &subscriptions->clients[i];
        if (client->cookie && ps_connection_cookie((int)i) != client->cookie)
            forget(subscriptions, client);
        count += client->count;
    }
    subscriptions->ended = false;
    subscriptions->checked_ns = now;
    ps_metrics_set(subscriptions->metrics, PS_GAUGE_SUBSCRIBERS, (int64_t)count);
}

static void disconnect(struct ps_subscriptions *subscriptions, struct client *client,
                       const char *reason)
{
    ps_connection_end((int)(client - subscriptions->clients), client->cookie, reason,
                      subscriptions->log, subscriptions->metrics);
    client->disconnected = true;
    drop_topics(subscriptions, client);
}

/* Disconnects the client with the most topics, if all together are too many. */
static void limit_all(struct ps_subscriptions *subscriptions)
{
    if (subscriptions->bytes <= PS_MAX_TOPIC_BYTES_IN_ALL)
        return;
    struct client *most = subscriptions->clients;
    for (size_t i = 1; i < subscriptions->capacity; i++) {
        if (subscriptions->clients[i].bytes > most->bytes)
            most = &subscriptions->clients[i];
    }
    disconnect(subscriptions, most,
               "too many subscriptions of all clients, of which it has the most");
}

/* ---- topics -----------------------------------------------------------------------------------
 */

static struct topic *find_topic(const struct client *client, const struct ps_subscription *wanted)
{
    for (size_t i = 0; i < client->count; i++) {
        struct topic *topic = &client->topics[i];
        if (topic->length == wanted->length &&
            memcmp(topic->text, wanted->topic, wanted->length) == 0)
            return topic;
    }
    return NULL;
}

/* Returns the limit that one more topic exceeds, or NULL. */
static const char *add_topic(struct ps_subscriptions *subscriptions, struct client *client,
                             const struct ps_subscription *added)
{
    if (find_topic(client, added))
        return NULL;
    if (client->count == PS_MAX_CLIENT_TOPICS)
        return "too many subscriptions";
    if ((client->count & (client->count - 1)) == 0) {
        size_t capacity = client->count ? 2 * client->count : 1;
        struct topic *topics = realloc(client->topics, capacity * sizeof *topics);
        if (!topics)
            return "no memory";
        client->topics = topics;
    }
    struct topic *topic = &client->topics[client->count++];
    topic->length = (uint8_t)added->length;
    memcpy(topic->text, added->topic, added->length);
    client->bytes += added->length + 1;
    subscriptions->bytes += added->length + 1;
    return NULL;
}

static bool remove_topic(struct ps_subscriptions *subscriptions, struct client *client,
                         const struct ps_subscription *removed)
{
    struct topic *topic = find_topic(client, removed);
    if (!topic)
        return false;
    client->bytes -= removed->length + 1;
    subscriptions->bytes -= removed->length + 1;
    *topic = client->topics[--client->count];
    return true;
}

/* Returns the limit that a message of a client exceeds, or NULL. */
static const char *count_message(struct ps_subscriptions *subscriptions, struct client *client,
                                 size_t length, const struct ps_subscription *begun)
{
    int64_t now = ps_clock_mono_ns();
    if (now - client->begin_ns >= PS_CHANGES_SECONDS * second_ns) {
        client->begin_ns = now;
        client->changes = 0;
    }
    if (++client->changes > PS_MAX_CLIENT_CHANGES)
        return "too many messages";
    if (length > PS_MAX_TOPIC_BYTES)
        return "too long a topic";
    return begun ? add_topic(subscriptions, client, begun) : NULL;
}

/* ---- messages ---------------------------------------------------------------------------------
 */

/* A subscription is a message of 1 (begin) or 0 (end), and a prefix of topics. A client can send
 * others, which mean nothing. When a connection ends, ZeroMQ itself ends its subscriptions, with
 * messages that have no descriptor. */
static bool read_change(struct ps_subscriptions *subscriptions, zmq_msg_t *message,
                        struct ps_subscription *ret)
{
    const char *data = zmq_msg_data(message);
    size_t size = zmq_msg_size(message);
    int fd = zmq_msg_get(message, ZMQ_SRCFD);
    size_t length = size ? size - 1 : 0;
    bool valid = size > 0 && (data[0] == 0 || data[0] == 1) && length <= PS_MAX_TOPIC_BYTES;
    if (valid) {
        ret->begin = data[0] == 1;
        ret->length = length;
        memcpy(ret->topic, data + 1, length);
    }
    bool begins = valid && ret->begin;
    struct client *client = client_of(subscriptions, fd);
    ps_gate_heard(subscriptions->gate, fd);
    subscriptions->ended |= fd < 0;
    if (client && !client->disconnected) {
        const char *limit = count_message(subscriptions, client, length, begins ? ret : NULL);
        if (limit)
            disconnect(subscriptions, client, limit);
        limit_all(subscriptions);
    }
    /* ZeroMQ has begun a subscription whose client is disconnected, and will end it. */
    if (begins || !valid)
        return begins;
    return fd < 0 || (client && remove_topic(subscriptions, client, ret));
}

bool ps_subscriptions_next(struct ps_subscriptions *subscriptions, struct ps_subscription *ret)
{
    bool changed = false, received = true;
    while (received && !changed) {
        zmq_msg_t message;
        (void)zmq_msg_init(&message);
        received = zmq_msg_recv(&message, subscriptions->xpub, ZMQ_DONTWAIT) >= 0;
        changed = received && read_change(subscriptions, &message, ret);
        (void)zmq_msg_close(&message);
    }
    int64_t now = ps_clock_mono_ns();
    if (!received && (subscriptions->ended || subscriptions->changed ||
                      now - subscriptions->checked_ns >= second_ns))
        check_connections(subscriptions, now);
    subscriptions->changed = changed;
    return changed;
}

bool ps_subscription_matches(const struct ps_subscription *subscription, const char *topic)
{
    return subscription->length <= strlen(topic) &&
           memcmp(subscription->topic, topic, subscription->length) == 0;
}
