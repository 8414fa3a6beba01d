#include "publish/status.h"

#include "wire/header.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *totals_object(const struct ps_journal_totals *totals)
{
    if (!totals)
        return json_null();
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "picked",
                     (json_int_t)totals->picked, "rejected", (json_int_t)totals->rejected, "failed",
                     (json_int_t)totals->failed, "open", (json_int_t)totals->open, "picks",
                     (json_int_t)totals->picks, "skipped", (json_int_t)totals->skipped, "retries",
                     (json_int_t)totals->retries, "revisions", (json_int_t)totals->revisions,
                     "repicks_left", (json_int_t)totals->repicks_left);
}

static json_t *last_error_object(const struct ps_status_facts *facts)
{
    char time[PS_TIME_TEXT];
    if (!facts->last_error_ns)
        return json_null();
    return json_pack("{s:s, s:o}", "time", ps_time_text(facts->last_error_ns, time), "text",
                     ps_json_text(facts->last_error));
}

static json_t *journal_text(const char *failure)
{
    char text[sizeof((struct ps_error *)0)->message + 16];
    (void)snprintf(text, sizeof text, "failed: %s", failure ? failure : "");
    return ps_json_text(failure ? text : "ok");
}

static json_t *endpoints_object(const struct ps_status_facts *facts)
{
    return json_pack("{s:o, s:o}", "publish", ps_json_text(facts->publish_endpoint), "replay",
                     ps_json_text(facts->replay_endpoint));
}

json_t *ps_status_header(const struct ps_status_facts *facts)
{
    char time[PS_TIME_TEXT];
    return json_pack("{s:s, s:s, s:o, s:o, s:s, s:I, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o}",
                     "schema", PS_WIRE_SCHEMA, "type", PS_WIRE_TOPIC_STATUS, "stream",
                     ps_json_text(facts->stream), "session", ps_json_text(facts->session), "time",
                     ps_time_text(facts->time_ns, time), "last_seq", (json_int_t)facts->last_seq,
                     "version", ps_json_text(ps_version()), "state",
                     facts->stopping ? "stopping" : "running", "uptime_seconds",
                     ps_json_number(facts->uptime_seconds), "endpoints", endpoints_object(facts),
                     "totals", totals_object(facts->totals), "metrics", facts->metrics, "journal",
                     journal_text(facts->journal_failure), "last_error", last_error_object(facts));
}

json_t *ps_status_queue(const struct ps_status_queue_facts *facts)
{
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "waiting", (json_int_t)facts->waiting, "in_flight",
        (json_int_t)facts->in_flight, "capacity", (json_int_t)facts->capacity, "overflowed",
        (json_int_t)facts->overflowed, "suspects", (json_int_t)facts->suspects, "postponed",
        (json_int_t)facts->postponed, "postponed_reason",
        *facts->postponed_reason ? ps_json_text(facts->postponed_reason) : json_null());
}

json_t *ps_status_connections(const struct ps_gate_status *items, size_t count)
{
    json_t *object = json_object();
    int failed = !object;
    for (size_t i = 0; i < count && !failed; i++)
        failed = json_object_set_new(object, items[i].name,
                                     json_pack("{s:I, s:I}", "open", (json_int_t)items[i].open,
                                               "limit", (json_int_t)items[i].limit));
    if (!failed)
        return object;
    json_decref(object);
    return NULL;
}

static json_t *left_out_object(const struct ps_rule_counts *counts)
{
    json_t *object = json_object();
    int failed = !object;
    for (int rule = PS_RULE_OTHER + 1; rule < PS_RULE_COUNT && !failed; rule++)
        if (counts->of[rule])
            failed = json_object_set_new(object, ps_rule_key(rule),
                                         json_integer((json_int_t)counts->of[rule]));
    if (!failed)
        return object;
    json_decref(object);
    return NULL;
}

json_t *ps_status_watch(const struct ps_root_status *items, size_t count)
{
    json_t *array = json_array();
    int failed = !array;
    for (size_t i = 0; i < count && !failed; i++) {
        json_t *reason = *items[i].reason ? ps_json_text(items[i].reason) : json_null();
        failed = json_array_append_new(
            array, json_pack("{s:o, s:s, s:o, s:I, s:I, s:o}", "path", ps_json_text(items[i].path),
                             "mode", items[i].mode, "reason", reason, "directories",
                             (json_int_t)items[i].directories, "candidates",
                             (json_int_t)items[i].candidates, "left_out",
                             left_out_object(&items[i].left_out)));
    }
    if (!failed)
        return array;
    json_decref(array);
    return NULL;
}

json_t *ps_status_hello(const struct ps_status_facts *facts, const struct ps_config *config,
                        const char *parameters)
{
    char time[PS_TIME_TEXT];
    return json_pack("{s:s, s:s, s:o, s:o, s:s, s:I, s:o, s:o, s:s, s:o}", "schema", PS_WIRE_SCHEMA,
                     "type", "hello", "stream", ps_json_text(facts->stream), "session",
                     ps_json_text(facts->session), "time", ps_time_text(facts->time_ns, time),
                     "last_seq", (json_int_t)facts->last_seq, "version", ps_json_text(ps_version()),
                     "endpoints", endpoints_object(facts), "parameters", parameters,
                     "configuration", ps_status_configuration(config));
}

/* The keys, from keys.def. */
static const struct key {
    const char *section;
    const char *name;
    const char *path; /* "section.name" */
} keys[] = {
#define SECTION(section, doc)
#define KEY(section, key, ...)    {#section, #key, #section "." #key},
#define CHOICE(section, key, ...) {#section, #key, #section "." #key},
#define LIST(section, key, ...)   {#section, #key, #section "." #key},
#define END(section)
#include "config/keys.def"
#undef SECTION
#undef KEY
#undef CHOICE
#undef LIST
#undef END
};
enum { KEYS = sizeof keys / sizeof *keys };

static bool is_secret(const struct key *key)
{
    return strncmp(key->path, "publish.curve_", strlen("publish.curve_")) == 0 ||
           strcmp(key->path, "notify.command") == 0; /* addresses of chats are passwords */
}

json_t *ps_status_configuration(const struct ps_config *config)
{
    json_t *object = json_object();
    int failed = 0;
    for (size_t i = 0; i < KEYS; i++) {
        if (is_secret(&keys[i]))
            continue;
        json_t *section = json_object_get(object, keys[i].section);
        if (!section) {
            section = json_object();
            failed |= json_object_set_new(object, keys[i].section, section);
        }
        char *value = ps_config_get(config, keys[i].path);
        failed |= !value;
        if (!failed)
            failed |= json_object_set_new(section, keys[i].name, ps_json_text(value));
        free(value);
    }
    if (failed) {
        json_decref(object);
        return NULL;
    }
    return object;
}
