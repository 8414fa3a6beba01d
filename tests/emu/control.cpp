/* Settings, errors that stay, injected failures, and what a test controls (emu.h). */
#include "runtime.h"

#include "block.h"

#include <atomic>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

namespace emu
{

/* ---- environment -----------------------------------------------------------------------------
 */

static uint64_t number_from(const char *name, uint64_t otherwise, uint64_t min, uint64_t max)
{
    const char *text = getenv(name);
    if (!text || !*text)
        return otherwise;
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    if (*end || value < min || value > max) {
        fprintf(stderr, "emulation: %s = %s, a number from %llu to %llu expected\n", name, text,
                (unsigned long long)min, (unsigned long long)max);
        abort();
    }
    return value;
}

struct Settings {
    int devices = (int)number_from("EMU_DEVICES", 1, 0, MAX_DEVICES);
    size_t memory = number_from("EMU_MEMORY", (uint64_t)8 << 30, 0, UINT64_MAX);
    int old = (int)number_from("EMU_OLD", MAX_DEVICES, 0, MAX_DEVICES);
    int driver = (int)number_from("EMU_DRIVER", CUDART_VERSION, 0, INT_MAX);
    bool eager = number_from("EMU_EAGER", 0, 0, 1);
    bool leaks = number_from("EMU_LEAKS", 0, 0, 1);
    bool trace = number_from("EMU_TRACE", 0, 0, 1);
};

static const Settings &settings()
{
    static const Settings read;
    return read;
}

int device_count()
{
    return settings().devices;
}

size_t memory_bytes()
{
    return settings().memory;
}

int driver_version()
{
    return settings().driver;
}

int old_device()
{
    return settings().old;
}

bool tracing()
{
    return settings().trace;
}

void trace(const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    fprintf(stderr, "emulation: %s\n", line);
}

/* ---- errors ----------------------------------------------------------------------------------
 */

static thread_local int device_of_thread;
static thread_local cudaError_t last_error;
static std::atomic<cudaError_t> errors_that_stay[MAX_DEVICES];
static std::atomic<unsigned long> default_stream_uses;
static std::atomic<bool> is_eager;

int current_device()
{
    return device_of_thread;
}

void set_current_device(int device)
{
    device_of_thread = device;
}

cudaError_t remember(cudaError_t error)
{
    if (error != cudaSuccess)
        last_error = error;
    return error;
}

cudaError_t take_last_error()
{
    cudaError_t error = last_error;
    last_error = cudaSuccess;
    return error;
}

cudaError_t staying(int device)
{
    return errors_that_stay[device];
}

cudaError_t stay(int device, cudaError_t error)
{
    cudaError_t none = cudaSuccess;
    errors_that_stay[device].compare_exchange_strong(none, error);
    return remember(staying(device));
}

void count_default_stream_use()
{
    default_stream_uses++;
}

bool eager()
{
    return is_eager;
}

static std::mutex report_mutex;
static char last_report[1024];

void report(const std::string &text)
{
    std::lock_guard<std::mutex> lock(report_mutex);
    (void)snprintf(last_report, sizeof last_report, "%s", text.c_str());
    fprintf(stderr, "emulation: %s\n", last_report);
}

/* ---- injected failures -----------------------------------------------------------------------
 */

static const char *const SITES[EMU_SITES + 1] = {"malloc", "create", "copy", "launch", "fault",
                                                 "sync",   "plan",   "fft",  "other",  "any"};
static std::atomic<unsigned long> calls[EMU_SITES + 1];
static std::atomic<int> failing_site{EMU_SITES};
static std::atomic<unsigned long> failing_call;

static void complain_of_leaks();

bool injected(emu_site site)
{
    /* Registered late, so that it runs before the destructors of the tables that it reads. */
    static const int registered = settings().leaks ? atexit(complain_of_leaks) : 0;
    (void)registered;
    unsigned long of_any = ++calls[EMU_SITES];
    unsigned long of_site = ++calls[site];
    unsigned long k = failing_call;
    int failing = failing_site;
    return k && ((failing == EMU_SITES && of_any == k) || (failing == (int)site && of_site == k));
}

cudaError_t enter(emu_site site)
{
    bool fails = injected(site);
    cudaError_t error = staying(device_of_thread);
    if (error != cudaSuccess || !fails)
        return remember(error);
    switch (site) {
    case EMU_MALLOC:
        return remember(cudaErrorMemoryAllocation);
    case EMU_COPY:
    case EMU_SYNC:
        return stay(device_of_thread, cudaErrorIllegalAddress);
    case EMU_LAUNCH:
        return stay(device_of_thread, cudaErrorLaunchFailure);
    default:
        return remember(cudaErrorUnknown);
    }
}

/* ---- start and end of the process ------------------------------------------------------------
 */

/* "launch:3" */
static void fail_from(const char *text)
{
    const char *colon = text ? strchr(text, ':') : nullptr;
    if (!text || !*text)
        return;
    for (int i = 0; colon && i <= EMU_SITES; i++)
        if (strlen(SITES[i]) == (size_t)(colon - text) &&
            memcmp(SITES[i], text, (size_t)(colon - text)) == 0) {
            emu_fail((emu_site)i, strtoul(colon + 1, nullptr, 10));
            return;
        }
    fprintf(stderr, "emulation: EMU_FAIL = %s, SITE:K expected\n", text);
    abort();
}

static void complain_of_leaks()
{
    struct emu_live live = emu_live();
    if (!live.device && !live.pinned && !live.streams && !live.events && !live.plans)
        return;
    fprintf(stderr,
            "emulation: left at exit: %zu allocations (%zu bytes), %zu of pinned memory, %zu "
            "streams, %zu events, %zu plans\n",
            live.device, live.device_bytes, live.pinned, live.streams, live.events, live.plans);
    _exit(23);
}

__attribute__((constructor)) static void start()
{
    emu_reset();
    fail_from(getenv("EMU_FAIL"));
}

} // namespace emu

using namespace emu;

const char *emu_site_name(enum emu_site site)
{
    return SITES[site];
}

void emu_fail(enum emu_site site, unsigned long k)
{
    failing_call = 0;
    for (auto &count : calls)
        count = 0;
    failing_site = site;
    failing_call = k;
}

unsigned long emu_calls(enum emu_site site)
{
    return calls[site];
}

unsigned long emu_default_stream_uses(void)
{
    return default_stream_uses;
}

void emu_reset(void)
{
    emu_fail(EMU_SITES, 0);
    for (auto &error : errors_that_stay)
        error = cudaSuccess;
    last_error = cudaSuccess;
    default_stream_uses = 0;
    is_eager = settings().eager;
    const char *order = getenv("EMU_ORDER");
    emu_order(order && *order ? order : "forward");
}

void emu_eager(int eager)
{
    is_eager = eager != 0;
}

void emu_order(const char *order)
{
    if (strcmp(order, "forward") == 0)
        set_order(Order::forward, 0);
    else if (strcmp(order, "reverse") == 0)
        set_order(Order::reverse, 0);
    else if (strncmp(order, "random:", 7) == 0)
        set_order(Order::random, strtoul(order + 7, nullptr, 10));
    else {
        fprintf(stderr, "emulation: order %s; forward, reverse or random:SEED expected\n", order);
        abort();
    }
}

struct emu_live emu_live(void)
{
    struct emu_live live = {};
    count_memory(live);
    count_streams(live);
    live.plans = count_plans();
    return live;
}

const char *emu_report(void)
{
    return last_report;
}
