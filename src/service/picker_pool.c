#include "service/picker_pool.h"

#include "base/clock.h"
#include "base/error.h"
#include "picker/picker.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { READERS_OF_GPU = 2 };

struct place {
    struct ps_picker *picker; /* NULL: given up */
    /* Under the lock: */
    const char *micrograph; /* the caller's name of what is being picked, or NULL */
    int64_t since_ns;       /* by the monotonic clock; 0: free */
};

struct ps_slots {
    const struct ps_config *config;
    struct ps_log *log;
    size_t readers;
    pthread_mutex_t lock;
    pthread_cond_t given;
    struct place *places;
    size_t count;
    size_t first;            /* places before it are of GPUs that are not asked any more */
    bool opening;            /* a picker on the CPU is being opened, to take over */
    struct ps_error failure; /* code 0: no GPU has failed */
};

/* ---- opening ----------------------------------------------------------------------------------
 */

static void add(struct ps_slots *slots, struct ps_picker *picker)
{
    slots->places[slots->count++] = (struct place){.picker = picker};
}

/* One slot of each device. Where the CPU stood in for a GPU, as compute.backend = auto lets it, it
 * is kept only if no other GPU can be used. `devices` holds those of the slots afterwards. */
static int open_first(struct ps_slots *slots, int *devices, int count, struct ps_error *error)
{
    struct ps_picker *stand_in = NULL;
    int status = 0;
    for (int i = 0; status == 0 && i < count; i++) {
        struct ps_picker *picker = NULL;
        status = ps_picker_new_on(slots->config, devices[i], &picker, error);
        if (status)
            break;
        char quoted[PS_LOG_TEXT];
        if (picker->backend->note[0])
            ps_log_event(slots->log, PS_LOG_INFO, "gpu_not_used", "reason=%s",
                         ps_log_quote(picker->backend->note, quoted));
        if (ps_picker_is_gpu(picker)) {
            devices[slots->count] = devices[i];
            add(slots, picker);
        } else if (stand_in) {
            ps_picker_free(picker);
        } else {
            stand_in = picker;
        }
    }
    if (status == 0 && slots->count == 0)
        add(slots, stand_in);
    else
        ps_picker_free(stand_in);
    return status;
}

static void fewer_slots(const struct ps_slots *slots, const struct ps_error *reason)
{
    char quoted[PS_LOG_TEXT];
    size_t left = 0;
    for (size_t i = slots->first; i < slots->count; i++)
        left += slots->places[i].picker != NULL;
    ps_log_event(slots->log, PS_LOG_WARNING, "fewer_slots", "slots=%zu reason=%s", left,
                 ps_log_quote(reason->message, quoted));
}

static int open_more(struct ps_slots *slots, const int *devices, int each, struct ps_error *error)
{
    size_t found = slots->count;
    for (int round = 1; round < each; round++) {
        for (size_t i = 0; i < found; i++) {
            struct ps_picker *picker = NULL;
            int status = ps_picker_new_on(slots->config, devices[i], &picker, error);
            if (status == PS_E_NOMEM) {
                fewer_slots(slots, error);
                return 0;
            }
            if (status)
                return status;
            add(slots, picker);
        }
    }
    return 0;
}

static int open_all(struct ps_slots *slots, struct ps_error *error)
{
    const struct ps_config *config = slots->config;
    int devices[PS_MAX_DEVICES];
    int count = 0;
    int status = ps_backend_devices(config->compute.backend, &config->compute.devices, devices,
                                    &count, error);
    if (status)
        return status;
    int asked = config->compute.slots_per_device;
    /* One more, for the CPU that may take over. */
    size_t room = (size_t)count * (size_t)(asked > PS_SLOTS_OF_GPU ? asked : PS_SLOTS_OF_GPU) + 1;
    slots->places = calloc(room, sizeof *slots->places);
    if (!slots->places)
        return ps_fail_memory(error, room * sizeof *slots->places, "slots");
    status = open_first(slots, devices, count, error);
    if (status)
        return status;
    bool gpu = ps_picker_is_gpu(slots->places[0].picker);
    size_t used = slots->count;
    slots->readers = config->compute.readers > 0 ? (size_t)config->compute.readers
                     : gpu                       ? used * READERS_OF_GPU
                                                 : 0;
    return open_more(slots, devices,
                     asked > 0 ? asked
                     : gpu     ? PS_SLOTS_OF_GPU
                               : PS_SLOTS_OF_CPU,
                     error);
}

int ps_slots_open(const struct ps_config *config, struct ps_log *log, struct ps_slots **ret_slots,
                  struct ps_error *error)
{
    struct ps_slots *slots = calloc(1, sizeof *slots);
    if (!slots)
        return ps_fail_memory(error, sizeof *slots, "slots");
    slots->config = config;
    slots->log = log;
    pthread_mutex_init(&slots->lock, NULL);
    pthread_cond_init(&slots->given, NULL);
    int status = ps_config_check(config, error);
    if (status == 0)
        status = open_all(slots, error);
    if (status) {
        ps_slots_close(slots);
        return status;
    }
    *ret_slots = slots;
    return 0;
}

void ps_slots_close(struct ps_slots *slots)
{
    if (!slots)
        return;
    for (size_t i = 0; i < slots->count; i++)
        ps_picker_free(slots->places[i].picker);
    free(slots->places);
    pthread_cond_destroy(&slots->given);
    pthread_mutex_destroy(&slots->lock);
    free(slots);
}

size_t ps_slots_workers(const struct ps_slots *slots)
{
    return slots->count + slots->readers;
}

/* ---- picking ----------------------------------------------------------------------------------
 */

/* Waits for a free slot; NULL where none will ever be. */
static struct place *take(struct ps_slots *slots, const char *name)
{
    struct place *place = NULL;
    pthread_mutex_lock(&slots->lock);
    while (slots->first < slots->count || slots->opening) {
        for (size_t i = slots->first; i < slots->count && !place; i++)
            if (slots->places[i].picker && slots->places[i].since_ns == 0)
                place = &slots->places[i];
        if (place)
            break;
        pthread_cond_wait(&slots->given, &slots->lock);
    }
    if (place) {
        place->micrograph = name;
        place->since_ns = ps_clock_mono_ns();
    }
    pthread_mutex_unlock(&slots->lock);
    return place;
}

/* Gives the slot back. False: its device has failed meanwhile, and its result is worth nothing. */
static bool give(struct ps_slots *slots, struct place *place)
{
    pthread_mutex_lock(&slots->lock);
    place->micrograph = NULL;
    place->since_ns = 0;
    bool good = (size_t)(place - slots->places) >= slots->first;
    pthread_cond_signal(&slots->given);
    pthread_mutex_unlock(&slots->lock);
    return good;
}

/* Other slots of the same GPU have what this one lacks: without it, they do its work. False: there
 * is no other. */
static bool give_up(struct ps_slots *slots, struct place *place, const struct ps_error *reason)
{
    struct ps_picker *picker = place->picker;
    const char *device = ps_picker_device(picker);
    size_t others = 0;
    pthread_mutex_lock(&slots->lock);
    for (size_t i = slots->first; i < slots->count && ps_picker_is_gpu(picker); i++) {
        const struct place *other = &slots->places[i];
        others +=
            other != place && other->picker && strcmp(ps_picker_device(other->picker), device) == 0;
    }
    if (others > 0) {
        place->picker = NULL;
        fewer_slots(slots, reason);
    }
    pthread_mutex_unlock(&slots->lock);
    if (others > 0)
        ps_picker_free(picker);
    return others > 0;
}

static struct ps_picker *open_cpu(const struct ps_config *config, struct ps_error *error)
{
    struct ps_picker *picker = NULL;
    struct ps_config *copy = ps_config_copy(config);
    if (!copy)
        (void)ps_fail_memory(error, sizeof *copy, "a configuration");
    else if (ps_config_set(copy, "compute.backend", "cpu", error) == 0)
        (void)ps_picker_new_on(copy, 0, &picker, error);
    ps_config_free(copy);
    return picker;
}

/* Opens a picker on the CPU, which may take seconds: without the lock, which the watchdog and the
 * status need. Until it is there, picks wait for it in take(). */
static void take_over(struct ps_slots *slots)
{
    char quoted[PS_LOG_TEXT];
    struct ps_error error = {0};
    struct ps_picker *picker = open_cpu(slots->config, &error);
    if (picker)
        ps_log_event(slots->log, PS_LOG_WARNING, "continues_on_cpu", "device=%s",
                     ps_log_quote(ps_picker_device(picker), quoted));
    else
        ps_log_event(slots->log, PS_LOG_ERROR, "device_failed", "reason=%s",
                     ps_log_quote(error.message, quoted));
    pthread_mutex_lock(&slots->lock);
    if (picker)
        add(slots, picker);
    slots->opening = false;
    pthread_cond_broadcast(&slots->given);
    pthread_mutex_unlock(&slots->lock);
}

/* A GPU has failed: no GPU is used from now on. The first report of it decides what follows. */
static void fail_over(struct ps_slots *slots, const struct ps_error *failure)
{
    char quoted[PS_LOG_TEXT];
    pthread_mutex_lock(&slots->lock);
    bool first = slots->failure.code == 0;
    if (first) {
        slots->failure = *failure;
        slots->first = slots->count;
        slots->opening = slots->config->compute.on_device_error == PS_ON_DEVICE_ERROR_CPU;
    }
    bool opening = first && slots->opening;
    pthread_cond_broadcast(&slots->given);
    pthread_mutex_unlock(&slots->lock);
    if (first)
        ps_log_event(slots->log, PS_LOG_ERROR, "device_failed", "reason=%s",
                     ps_log_quote(failure->message, quoted));
    if (opening)
        take_over(slots);
}

int ps_slots_pick(struct ps_slots *slots, const char *name, const struct ps_image *image,
                  struct ps_result *ret_result, struct ps_error *error)
{
    struct place *place;
    while ((place = take(slots, name)) != NULL) {
        struct ps_result result = {0};
        int status = ps_picker_pick(place->picker, image, &result, error);
        bool again =
            status == PS_E_DEVICE || (status == PS_E_NOMEM && give_up(slots, place, error));
        if (status == PS_E_DEVICE)
            fail_over(slots, error);
        if (give(slots, place) && !again) {
            if (status == 0)
                *ret_result = result;
            return status;
        }
        ps_result_done(&result);
    }
    *error = slots->failure;
    return PS_E_DEVICE;
}

/* ---- what is going on -------------------------------------------------------------------------
 */

double ps_slots_busy_seconds(struct ps_slots *slots)
{
    int64_t now = ps_clock_mono_ns();
    int64_t longest = 0;
    pthread_mutex_lock(&slots->lock);
    for (size_t i = 0; i < slots->count; i++)
        if (slots->places[i].since_ns && now - slots->places[i].since_ns > longest)
            longest = now - slots->places[i].since_ns;
    pthread_mutex_unlock(&slots->lock);
    return (double)longest * 1e-9;
}

json_t *ps_slots_status(struct ps_slots *slots)
{
    json_t *array = json_array();
    pthread_mutex_lock(&slots->lock);
    for (size_t i = slots->first; i < slots->count; i++) {
        const struct place *place = &slots->places[i];
        if (!place->picker)
            continue;
        (void)json_array_append_new(
            array, json_pack("{s:s, s:b, s:s?}", "device", ps_picker_device(place->picker), "busy",
                             place->since_ns != 0, "micrograph", place->micrograph));
    }
    pthread_mutex_unlock(&slots->lock);
    return array;
}
