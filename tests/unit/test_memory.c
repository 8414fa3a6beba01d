/* Available memory, and the estimate of what a pick needs against what it took. */
#include "base/memory_limit.h"

#include "picker/memory.h"
#include "picking.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

/* ---- what there is -----------------------------------------------------------------------------
 */

static char *make_root(void)
{
    char *root = strdup("/tmp/pickstream-memory-XXXXXX");
    assert_non_null(root);
    assert_non_null(mkdtemp(root));
    return root;
}

static void remove_root(char *root)
{
    char command[100];
    (void)snprintf(command, sizeof command, "rm -rf %s", root);
    assert_int_equal(system(command), 0);
    free(root);
}

static void write_at(const char *root, const char *name, const char *text)
{
    char path[300];
    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *slash = strchr(path + strlen(root) + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0755);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static uint64_t machine(void)
{
    struct sysinfo info;
    assert_int_equal(sysinfo(&info), 0);
    return (uint64_t)info.totalram * info.mem_unit;
}

static void without_limits_it_is_that_of_the_machine(void **state)
{
    (void)state;
    char *root = make_root();
    assert_int_equal(ps_memory_limit(root), machine());
    write_at(root, "proc/self/cgroup", "1:name=systemd:/\n0::/system.slice/pickstream.service\n");
    assert_int_equal(ps_memory_limit(root), machine());
    write_at(root, "sys/fs/cgroup/system.slice/pickstream.service/memory.max", "max\n");
    write_at(root, "sys/fs/cgroup/system.slice/memory.max", "99999999999999999\n");
    assert_int_equal(ps_memory_limit(root), machine());
    remove_root(root);
}

static void a_group_and_those_around_it_limit(void **state)
{
    (void)state;
    char *root = make_root();
    write_at(root, "proc/self/cgroup", "0::/system.slice/pickstream.service\n");
    write_at(root, "sys/fs/cgroup/system.slice/pickstream.service/memory.max", "50000000\n");
    assert_int_equal(ps_memory_limit(root), 50000000);
    write_at(root, "sys/fs/cgroup/system.slice/pickstream.service/memory.high", "40000000\n");
    assert_int_equal(ps_memory_limit(root), 40000000);
    write_at(root, "sys/fs/cgroup/system.slice/memory.max", "30000000\n");
    assert_int_equal(ps_memory_limit(root), 30000000);
    write_at(root, "sys/fs/cgroup/memory.max", "20000000\n");
    assert_int_equal(ps_memory_limit(root), 20000000);
    remove_root(root);
}

/* The group's path is that of the machine, its files are at the top. */
static void a_container_limits(void **state)
{
    (void)state;
    char *root = make_root();
    write_at(root, "proc/self/cgroup", "0::/docker/0123456789abcdef\n");
    write_at(root, "sys/fs/cgroup/memory.max", "20000000\n");
    assert_int_equal(ps_memory_limit(root), 20000000);
    remove_root(root);
}

static void version_1_limits(void **state)
{
    (void)state;
    char *root = make_root();
    write_at(root, "proc/self/cgroup", "9:cpu,cpuacct:/x\n4:hugetlb,memory:/user/1\n0::/\n");
    write_at(root, "sys/fs/cgroup/memory/user/1/memory.limit_in_bytes", "9223372036854771712\n");
    assert_int_equal(ps_memory_limit(root), machine());
    write_at(root, "sys/fs/cgroup/memory/user/memory.limit_in_bytes", "70000000\n");
    assert_int_equal(ps_memory_limit(root), 70000000);
    remove_root(root);
}

/* ---- what is needed ----------------------------------------------------------------------------
 */

static struct ps_image noise(int width, int height, enum ps_pixel type)
{
    const size_t count = (size_t)width * (size_t)height;
    unsigned char *pixels = malloc(count * ps_pixel_bytes(type));
    assert_non_null(pixels);
    unsigned seed = 1;
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525U + 1013904223U;
        if (type == PS_PIXEL_F32)
            ((float *)(void *)pixels)[i] = (float)(seed >> 16 & 255);
        else
            pixels[i] = (unsigned char)(seed >> 25);
    }
    return (struct ps_image){
        .pixels = pixels, .type = type, .width = width, .height = height, .pixel_size = 1};
}

/* Peak of the resident memory of a process that picks. */
static double measure(int width, int height, enum ps_pixel type,
                      const char *const settings[MAX_SETTINGS])
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct ps_image image = noise(width, height, type);
        struct ps_result result = picking_image(&image, settings);
        _exit(result.outcome == PS_PICKED ? 0 : 1);
    }
    int status;
    struct rusage usage;
    assert_int_equal(wait4(child, &status, 0, &usage), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    return (double)usage.ru_maxrss * 1024;
}

static void the_estimate_is_near_what_a_pick_takes(void **state)
{
    (void)state;
    static const struct {
        int width, height;
        enum ps_pixel type;
        const char *profile, *diameter;
    } cases[] = {
        {1400, 1400, PS_PIXEL_F32, "adaptive", "24px"}, /* not binned */
        {2600, 1300, PS_PIXEL_U8, "adaptive", "60px"},
        {3000, 2000, PS_PIXEL_F32, "adaptive", "100px"},
        {3000, 3000, PS_PIXEL_U8, "adaptive", "200px"},
        {2000, 2000, PS_PIXEL_F32, "aspire", "60px"},
        {2600, 2600, PS_PIXEL_U8, "aspire", "40px"},
    };
    if (SANITIZED)
        skip();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const *settings =
            SETTINGS("picker.profile", cases[i].profile, "picker.particle_diameter",
                     cases[i].diameter, "compute.threads", "2");
        struct ps_config *config = picking_config(settings);
        const struct ps_image image = {
            .type = cases[i].type, .width = cases[i].width, .height = cases[i].height};
        const double estimate = (double)ps_picker_memory(config, false, &image);
        const double taken = measure(cases[i].width, cases[i].height, cases[i].type, settings);
        print_message("%d x %d px, %s, %s: estimate %.0f MB, taken %.0f MB\n", image.width,
                      image.height, cases[i].profile, cases[i].diameter, estimate * 1e-6,
                      taken * 1e-6);
        assert_true(estimate < 1.25 * taken);
        assert_true(taken < 1.25 * estimate);
        ps_config_free(config);
    }
}

static void an_unknown_diameter_needs_nothing(void **state)
{
    (void)state;
    struct ps_config *config = picking_config(SETTINGS("picker.particle_diameter", "180"));
    struct ps_image image = {.type = PS_PIXEL_U8, .width = 30000, .height = 30000};
    assert_int_equal(ps_picker_memory(config, false, &image), 0);
    image.pixel_size = 1;
    assert_true(ps_picker_memory(config, false, &image) > 900e6 * 5);
    assert_in_range(ps_picker_memory(config, true, &image), 1800e6, 2500e6);
    ps_config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_limits_it_is_that_of_the_machine),
        cmocka_unit_test(a_group_and_those_around_it_limit),
        cmocka_unit_test(a_container_limits),
        cmocka_unit_test(version_1_limits),
        cmocka_unit_test(the_estimate_is_near_what_a_pick_takes),
        cmocka_unit_test(an_unknown_diameter_needs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
