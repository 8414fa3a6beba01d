#include "service/picker_pool.h"

#include "base/error.h"
#include "base/progress.h"
#include "picker/picker.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_GPU_READERS = 2 };

struct entry {
    struct ps_picker *picker; /* NULL: closed, it ran out of memory */
    /* Under the lock: */
    const char *micrograph; /* borrowed name of what is being picked, or NULL */
    bool busy;
};

struct ps_picker_pool {
    const struct ps_config *config;
    struct ps_log *log;
    size_t readers;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* an entry was released, or the usable entries changed */
    struct entry *entries;
    size_t count;
    size_t first; /* entries before it belong to GPUs and are unused since a GPU failed */
    bool opening; /* a picker on the CPU is being opened to take over */
    struct ps_error failure; /* code 0: no GPU has failed */
};

/* ---- opening ----------------------------------------------------------------------------------
 */

static void add_entry(struct ps_picker_pool *pool, struct ps_picker *picker)
{
    pool->entries[pool->count++] = (struct entry){.picker = picker};
}

/* Opens one entry on each device. A CPU picker that compute.backend = auto opened instead of a GPU
 * is kept only if no GPU can be used. Afterwards `devices` has the devices of the entries. */
static int open_first(struct ps_picker_pool *pool, int *devices, int count, struct ps_error *error)
{
    struct ps_picker *stand_in = NULL;
    int status = 0;
    for (int i = 0; status == 0 && i < count; i++) {
        struct ps_picker *picker = NULL;
        status = ps_picker_new_on(pool->config, devices[i], &picker, error);
        if (status)
            break;
        if (picker->backend->note[0])
            ps_log_reason(pool->log, PS_LOG_INFO, "gpu_not_used", picker->backend->note);
        if (ps_picker_is_gpu(picker)) {
            devices[pool->count] = devices[i];
            add_entry(pool, picker);
        } else if (stand_in) {
            ps_picker_free(picker);
        } else {
            stand_in = picker;
        }
    }
    if (status == 0 && pool->count == 0)
        add_entry(pool, stand_in);
    else
        ps_picker_free(stand_in);
    return status;
}

static void fewer_slots(const struct ps_picker_pool *pool, const struct ps_error *reason)
{
    char quoted[PS_LOG_TEXT];
    size_t left = 0;
    for (size_t i = pool->first; i < pool->count; i++)
        left += pool->entries[i].picker != NULL;
    ps_log_event(pool->log, PS_LOG_WARNING, "fewer_slots", "slots=%zu reason=%s", left,
                 ps_log_quote(reason->message, quoted));
}

static int open_more(struct ps_picker_pool *pool, const int *devices, int each,
                     struct ps_error *error)
{
    size_t found = pool->count;
    for (int round = 1; round < each; round++) {
        for (size_t i = 0; i < found; i++) {
            struct ps_picker *picker = NULL;
            int status = ps_picker_new_on(pool->config, devices[i], &picker, error);
            if (status == PS_E_NOMEM) {
                fewer_slots(pool, error);
                return 0;
            }
            if (status)
                return status;
            add_entry(pool, picker);
        }
    }
    return 0;
}

static int open_all(struct ps_picker_pool *pool, struct ps_error *error)
{
    const struct ps_config *config = pool->config;
    int devices[PS_MAX_DEVICES];
    int count = 0;
    int status = ps_backend_devices(config->compute.backend, &config->compute.devices, devices,
                                    &count, error);
    if (status)
        return status;
    int asked = config->compute.slots_per_device;
    /* One more for the CPU picker that can take over. */
    size_t capacity =
        (size_t)count * (size_t)(asked > PS_DEFAULT_GPU_SLOTS ? asked : PS_DEFAULT_GPU_SLOTS) + 1;
    pool->entries = calloc(capacity, sizeof *pool->entries);
    if (!pool->entries)
        return ps_fail_memory(error, capacity * sizeof *pool->entries, "slots");
    status = open_first(pool, devices, count, error);
    if (status)
        return status;
    bool gpu = ps_picker_is_gpu(pool->entries[0].picker);
    size_t used = pool->count;
    pool->readers = config->compute.readers > 0 ? (size_t)config->compute.readers
                    : gpu                       ? used * DEFAULT_GPU_READERS
                                                : 0;
    return open_more(pool, devices,
                     asked > 0 ? asked
                     : gpu     ? PS_DEFAULT_GPU_SLOTS
                               : PS_DEFAULT_CPU_SLOTS,
                     error);
}

int ps_picker_pool_open(const struct ps_config *config, struct ps_log *log,
                        struct ps_picker_pool **ret_pool, struct ps_error *error)
{
    struct ps_picker_pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return ps_fail_memory(error, sizeof *pool, "slots");
    pool->config = config;
    pool->log = log;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->changed, NULL);
    int status = ps_config_check(config, error);
    if (status == 0)
        status = open_all(pool, error);
    if (status) {
        ps_picker_pool_close(pool);
        return status;
    }
    *ret_pool = pool;
    return 0;
}

void ps_picker_pool_close(struct ps_picker_pool *pool)
{
    if (!pool)
        return;
    for (size_t i = 0; i < pool->count; i++)
        ps_picker_free(pool->entries[i].picker);
    free(pool->entries);
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

size_t ps_picker_pool_workers(const struct ps_picker_pool *pool)
{
    return pool->count + pool->readers;
}

/* ---- picking ----------------------------------------------------------------------------------
 */

/* Waits for a free entry; NULL if no usable entry is left. */
static struct entry *take_entry(struct ps_picker_pool *pool, const char *name)
{
    struct entry *entry = NULL;
    pthread_mutex_lock(&pool->lock);
    while (pool->first < pool->count || pool->opening) {
        for (size_t i = pool->first; i < pool->count && !entry; i++)
            if (pool->entries[i].picker && !pool->entries[i].busy)
                entry = &pool->entries[i];
        if (entry)
            break;
        pthread_cond_wait(&pool->changed, &pool->lock);
    }
    if (entry) {
        entry->micrograph = name;
        entry->busy = true;
    }
    pthread_mutex_unlock(&pool->lock);
    return entry;
}

/* Releases the entry. False: a GPU failed during the pick; discard the result. */
static bool release_entry(struct ps_picker_pool *pool, struct entry *entry)
{
    pthread_mutex_lock(&pool->lock);
    entry->micrograph = NULL;
    entry->busy = false;
    bool good = (size_t)(entry - pool->entries) >= pool->first;
    pthread_cond_signal(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    return good;
}

/* Closes an entry that ran out of memory, which frees memory for the others of its GPU. False: it
 * is the last entry of that GPU, and stays. */
static bool close_entry(struct ps_picker_pool *pool, struct entry *entry,
                        const struct ps_error *reason)
{
    struct ps_picker *picker = entry->picker;
    const char *device = ps_picker_device(picker);
    size_t others = 0;
    pthread_mutex_lock(&pool->lock);
    for (size_t i = pool->first; i < pool->count && ps_picker_is_gpu(picker); i++) {
        const struct entry *other = &pool->entries[i];
        others +=
            other != entry && other->picker && strcmp(ps_picker_device(other->picker), device) == 0;
    }
    if (others > 0) {
        entry->picker = NULL;
        fewer_slots(pool, reason);
    }
    pthread_mutex_unlock(&pool->lock);
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

/* Opens a picker on the CPU. That can take seconds, so it happens without the lock, which the
 * watchdog and the status need. Picks wait for it in take_entry(). */
static void take_over(struct ps_picker_pool *pool)
{
    char quoted[PS_LOG_TEXT];
    struct ps_error error = {0};
    struct ps_picker *picker = open_cpu(pool->config, &error);
    if (picker)
        ps_log_event(pool->log, PS_LOG_WARNING, "continues_on_cpu", "device=%s",
                     ps_log_quote(ps_picker_device(picker), quoted));
    else
        ps_log_reason(pool->log, PS_LOG_ERROR, "device_failed", error.message);
    pthread_mutex_lock(&pool->lock);
    if (picker)
        add_entry(pool, picker);
    pool->opening = false;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
}

/* A GPU failed: stop using all GPUs. Only the first report has an effect. */
static void fail_over(struct ps_picker_pool *pool, const struct ps_error *failure)
{
    pthread_mutex_lock(&pool->lock);
    bool first = pool->failure.code == 0;
    if (first) {
        pool->failure = *failure;
        pool->first = pool->count;
        pool->opening = pool->config->compute.on_device_error == PS_ON_DEVICE_ERROR_CPU;
    }
    bool opening = first && pool->opening;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    if (first)
        ps_log_reason(pool->log, PS_LOG_ERROR, "device_failed", failure->message);
    if (opening)
        take_over(pool);
}

int ps_picker_pool_pick(struct ps_picker_pool *pool, const char *name, const struct ps_image *image,
                        struct ps_result *ret_result, struct ps_error *error)
{
    struct entry *entry;
    while ((entry = take_entry(pool, name)) != NULL) {
        struct ps_result result = {0};
        ps_progress_set_busy(true);
        int status = ps_picker_pick(entry->picker, image, &result, error);
        ps_progress_set_busy(false);
        bool again =
            status == PS_E_DEVICE || (status == PS_E_NOMEM && close_entry(pool, entry, error));
        if (status == PS_E_DEVICE)
            fail_over(pool, error);
        /* Alone on its GPU, it had all memory that the card has: too large, not a shortage. */
        if (status == PS_E_NOMEM && !again && ps_picker_is_gpu(entry->picker))
            status = error->code = PS_E_INPUT;
        if (release_entry(pool, entry) && !again) {
            if (status == 0)
                *ret_result = result;
            return status;
        }
        ps_result_done(&result);
    }
    *error = pool->failure;
    return PS_E_DEVICE;
}

/* ---- state -------------------------------------------------------------------------------------
 */

bool ps_picker_pool_is_gpu(struct ps_picker_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    bool gpu = false;
    for (size_t i = pool->first; i < pool->count; i++)
        gpu = gpu || (pool->entries[i].picker && ps_picker_is_gpu(pool->entries[i].picker));
    pthread_mutex_unlock(&pool->lock);
    return gpu;
}

json_t *ps_picker_pool_status(struct ps_picker_pool *pool)
{
    json_t *array = json_array();
    int failed = !array;
    pthread_mutex_lock(&pool->lock);
    for (size_t i = pool->first; i < pool->count && !failed; i++) {
        const struct entry *entry = &pool->entries[i];
        if (!entry->picker)
            continue;
        failed = json_array_append_new(
            array, json_pack("{s:s, s:b, s:s?}", "device", ps_picker_device(entry->picker), "busy",
                             (int)entry->busy, "micrograph", entry->micrograph));
    }
    pthread_mutex_unlock(&pool->lock);
    if (!failed)
        return array;
    json_decref(array);
    return NULL;
}
