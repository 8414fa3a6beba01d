/* RELION's project: how it is found, and the names and paths in it. Every test has a directory of
 * its own, and is in it. */
#include "picks/relion.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char root[64];

static int enter_directory(void **state)
{
    (void)state;
    static const char *const made[] = {
        "project",  "project/Micrographs", "project/MotionCorr", "project/MotionCorr/job002", "raw",
        "raw/grid", "elsewhere",
    };
    (void)snprintf(root, sizeof root, "/tmp/pickstream-relion-XXXXXX");
    if (!mkdtemp(root) || chdir(root) != 0)
        return -1;
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        if (mkdir(made[i], 0755) != 0)
            return -1;
    return symlink("../raw", "project/Raw") || symlink("job002", "project/MotionCorr/alias") ||
           symlink("project", "link");
}

static int remove_directory(void **state)
{
    (void)state;
    char command[100];
    (void)snprintf(command, sizeof command, "rm -rf %s", root);
    return chdir("/") == 0 ? system(command) : -1;
}

static struct ps_relion *find(const char *project, const char *output)
{
    struct ps_relion *relion = NULL;
    struct ps_error error;
    assert_int_equal(ps_relion_find(project, output, &relion, &error), 0);
    return relion;
}

static void expect_project(const char *output, const char *below_root)
{
    struct ps_relion *relion = find("", output);
    if (below_root) {
        char expected[200];
        (void)snprintf(expected, sizeof expected, "%s/%s", root, below_root);
        assert_non_null(relion);
        assert_string_equal(ps_relion_project(relion), expected);
    } else {
        assert_null(relion);
    }
    ps_relion_free(relion);
}

static void touch(const char *path)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
}

/* Without RELION's files the names of its jobs tell. */
static void projects_by_name(void **state)
{
    (void)state;
    expect_project("out", NULL);
    expect_project("project/Picks", NULL);
    expect_project("project/External/picks", NULL);
    expect_project("project/AutoPick/ps", "project");
    expect_project("./project//AutoPick/ps/", "project");
    expect_project("project/ManualPick/x/y", "project");
    expect_project("project/External/job012", "project");
    expect_project("project/External/job12", NULL);
    expect_project("elsewhere/../project/AutoPick", "project");
    expect_project("link/AutoPick/ps", "link");
}

static void projects_by_file(void **state)
{
    (void)state;
    touch("project/default_pipeline.star");
    expect_project("project", "project");
    expect_project("project/Picks/deep", "project");
    expect_project("out", NULL);
    assert_int_equal(chdir("project/Micrographs"), 0);
    expect_project("/nowhere", "project"); /* by the working directory */
    assert_int_equal(chdir("../../elsewhere"), 0);
    touch("../elsewhere/.gui_projectdir");
    expect_project(".", "elsewhere");
    expect_project("../project/AutoPick/x", "project");
}

static void expect_path(const struct ps_relion *relion, const char *path, const char *expected)
{
    char *found = NULL;
    struct ps_error error;
    assert_int_equal(ps_relion_path(relion, path, &found, &error), 0);
    if (expected)
        assert_string_equal(found, expected);
    else
        assert_null(found);
    free(found);
}

static void paths_from_the_project(void **state)
{
    (void)state;
    char absolute[200];
    struct ps_relion *relion = find("project/", "out");
    expect_path(relion, "project/Micrographs/a.mrc", "Micrographs/a.mrc");
    expect_path(relion, ".//project/./Micrographs//a.mrc", "Micrographs/a.mrc");
    expect_path(relion, "elsewhere/../project/Micrographs/a.mrc", "Micrographs/a.mrc");
    expect_path(relion, "project/Micrographs/../Raw/grid/a.mrc", "Raw/grid/a.mrc");
    expect_path(relion, "link/Micrographs/a.mrc", "Micrographs/a.mrc");
    expect_path(relion, "raw/grid/a.mrc", "Raw/grid/a.mrc");
    expect_path(relion, "project/MotionCorr/alias/a.mrc", "MotionCorr/job002/a.mrc");
    expect_path(relion, "project/MotionCorr/job002/a.mrc", "MotionCorr/job002/a.mrc");
    expect_path(relion, "elsewhere/a.mrc", NULL);
    expect_path(relion, "project2/a.mrc", NULL);
    expect_path(relion, "project/no/../../elsewhere/a.mrc", NULL);
    (void)snprintf(absolute, sizeof absolute, "%s/project/new/a.mrc", root);
    expect_path(relion, absolute, "new/a.mrc"); /* need not exist */
    expect_path(NULL, absolute, NULL);
    ps_relion_free(relion);
    relion = find("/no/such/project", "out"); /* of another machine */
    expect_path(relion, "/no/such/project/M/a.mrc", "M/a.mrc");
    expect_path(relion, "project/M/a.mrc", NULL);
    ps_relion_free(relion);
}

/* RELION drops everything up to the first component jobNNN that is not the first one. */
static void names_behind_the_job(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"Micrographs/a.mrc", "Micrographs/a.mrc"},
        {"MotionCorr/job002/Movies/a.mrc", "Movies/a.mrc"},
        {"MotionCorr/job0021/a.mrc", "a.mrc"},
        {"MotionCorr/job02/a.mrc", "MotionCorr/job02/a.mrc"},
        {"job002/a.mrc", "job002/a.mrc"},
        {"a/job002/b/job003/c.mrc", "b/job003/c.mrc"},
        {"a/job002", "a/job002"},
        {"a/joblist/c.mrc", "a/joblist/c.mrc"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(ps_relion_name(cases[i][0]), cases[i][1]);
}

static void expect_names(const char *const paths[2], const char *const expected[2])
{
    struct ps_relion *relion = find("project", "out");
    char *names[2];
    struct ps_error error;
    assert_int_equal(ps_relion_names(relion, paths, 2, names, &error), 0);
    for (int i = 0; i < 2; i++) {
        if (expected[i])
            assert_string_equal(names[i], expected[i]);
        else
            assert_null(names[i]);
        free(names[i]);
    }
    ps_relion_free(relion);
}

/* Two jobs with the same micrograph keep their directories: no file is written twice. */
static void names_do_not_collide(void **state)
{
    (void)state;
    expect_names((const char *[]){"project/MotionCorr/job002/a.mrc", "elsewhere/a.mrc"},
                 (const char *[]){"a.mrc", NULL});
    expect_names(
        (const char *[]){"project/MotionCorr/job002/a.mrc", "project/MotionCorr/job003/a.mrc"},
        (const char *[]){"MotionCorr/job002/a.mrc", "MotionCorr/job003/a.mrc"});
    expect_names((const char *[]){"project/MotionCorr/job002/M/a.mrc", "project/M/a.mrc"},
                 (const char *[]){"MotionCorr/job002/M/a.mrc", "M/a.mrc"});
    expect_names(
        (const char *[]){"project/MotionCorr/job002/a.mrc", "project/MotionCorr/alias/a.mrc"},
        (const char *[]){"a.mrc", "a.mrc"}); /* the same one */
}

static void expect_output(const char *path, const char *expected)
{
    struct ps_relion *relion = find("project", "out");
    char *found = NULL;
    struct ps_error error;
    assert_int_equal(ps_relion_output(relion, path, &found, &error), 0);
    if (expected)
        assert_string_equal(found, expected);
    else
        assert_null(found);
    free(found);
    ps_relion_free(relion);
}

/* For a micrograph of a watched directory, without knowing the others. */
static void names_one_by_one(void **state)
{
    (void)state;
    expect_output("project/Micrographs/a.mrc", "Micrographs/a.mrc");
    expect_output("project/MotionCorr/job002/M/a.mrc", "M/a.mrc");
    expect_output("elsewhere/a.mrc", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(projects_by_name, enter_directory, remove_directory),
        cmocka_unit_test_setup_teardown(projects_by_file, enter_directory, remove_directory),
        cmocka_unit_test_setup_teardown(paths_from_the_project, enter_directory, remove_directory),
        cmocka_unit_test(names_behind_the_job),
        cmocka_unit_test_setup_teardown(names_do_not_collide, enter_directory, remove_directory),
        cmocka_unit_test_setup_teardown(names_one_by_one, enter_directory, remove_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
