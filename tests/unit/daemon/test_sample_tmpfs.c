/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which tmpfs is named, with real ones: mounted in a mount namespace of the test's own, below the
 * fake tree's folder. The init process's root is this process's own, and its list of mounts is ours
 * without those of the machine.
 */
#include "fake_tree.h"
#include "sample_tmpfs.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <plimsoll/cleanup.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEC NSEC_PER_SEC

static struct fake_tree *tree;
static struct tmpfs_sampler *sampler;
/* What a test has mounted, for the folder to be removed in the end. */
static char mounted[4][256];
static unsigned mounted_count;

static bool text_put(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");

    return file && fputs(text, file) >= 0 && fclose(file) == 0;
}

/* A mount namespace in which we may mount; as root one of its own, else one of a new user's. */
static bool namespace_enter(void)
{
    char map[64];
    uid_t user = getuid();

    if (unshare(CLONE_NEWNS) < 0) {
        (void)snprintf(map, sizeof map, "0 %u 1", (unsigned)user);
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 || !text_put("/proc/self/uid_map", map))
            return false;
    }
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static bool namespace_can_be(void)
{
    int status;
    pid_t child = fork();

    if (child == 0)
        _exit(namespace_enter() ? 0 : 1);
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static void setup(void)
{
    ck_assert(namespace_enter());
    tree = fake_tree_new();
    fake_tree_link(tree, "proc/1/root", "/");
    fake_tree_write(tree, "proc/1/mountinfo", "%s", "");
    ck_assert_int_eq(tmpfs_sampler_new(&tree->roots, &sampler), 0);
}

static void teardown(void)
{
    sampler = tmpfs_sampler_free(sampler);
    while (mounted_count > 0)
        ck_assert_int_eq(umount2(mounted[--mounted_count], MNT_DETACH), 0);
    tree = fake_tree_free(tree);
}

static const char *path_of(const char *name)
{
    static char path[256];

    (void)snprintf(path, sizeof path, "%s/%s", tree->folder, name);
    return path;
}

/* Shows the sampler the mounts below the tree's folder. */
static void show_mounts(void)
{
    char line[4096], all[16384] = "";
    FILE *file = fopen("/proc/self/mountinfo", "re");

    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file))
        if (strstr(line, tree->folder))
            (void)strncat(all, line, sizeof all - strlen(all) - 1);
    (void)fclose(file);
    fake_tree_write(tree, "proc/1/mountinfo", "%s", all);
}

static void mount_tmpfs(const char *name)
{
    const char *path = path_of(name);

    ck_assert(mkdir(path, 0700) == 0 || errno == EEXIST);
    ck_assert_uint_lt(mounted_count, ELEMENTSOF(mounted));
    ck_assert_int_eq(mount("tmpfs", path, "tmpfs", 0, "size=64m"), 0);
    (void)snprintf(mounted[mounted_count++], sizeof mounted[0], "%s", path);
    show_mounts();
}

static void fill(const char *name, uint64_t size)
{
    int fd = open(path_of(name), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(posix_fallocate(fd, 0, (off_t)size), 0);
    (void)close(fd);
}

static struct tmpfs_snapshot look(uint64_t now)
{
    struct tmpfs_snapshot largest;

    tmpfs_sampler_advance(sampler, BAND_TIGHT, now);
    tmpfs_sampler_largest(sampler, &largest);
    return largest;
}

START_TEST(the_largest_is_named_until_another_grows)
{
    mount_tmpfs("one");
    mount_tmpfs("two");
    fill("two/file", 8 * MIB);
    struct tmpfs_snapshot largest = look(SEC);
    ck_assert_str_eq(largest.path, path_of("two"));
    ck_assert_uint_eq(largest.used, 8 * MIB);
    ck_assert_int_eq(largest.growth, 0);
    fill("one/file", 4 * MIB);
    largest = look(3 * SEC);
    ck_assert_str_eq(largest.path, path_of("one"));
    ck_assert_uint_eq(largest.used, 4 * MIB);
    ck_assert_int_eq(largest.growth, 2 * (int64_t)MIB);
    largest = look(4 * SEC);
    ck_assert_str_eq(largest.path, path_of("two"));
    ck_assert_int_eq(unlink(path_of("two/file")), 0);
    largest = look(5 * SEC);
    ck_assert_str_eq(largest.path, path_of("one"));
}
END_TEST

START_TEST(it_looks_no_more_often_than_the_band_asks)
{
    struct tmpfs_snapshot largest;

    mount_tmpfs("one");
    tmpfs_sampler_advance(sampler, BAND_CALM, 100 * SEC);
    fill("one/file", 4 * MIB);
    tmpfs_sampler_advance(sampler, BAND_CALM, 109 * SEC);
    tmpfs_sampler_largest(sampler, &largest);
    ck_assert_uint_eq(largest.used, 0);
    /* Worse than before: at once, and then each second. */
    tmpfs_sampler_advance(sampler, BAND_SCARCE, 109 * SEC + 1);
    tmpfs_sampler_largest(sampler, &largest);
    ck_assert_uint_eq(largest.used, 4 * MIB);
    fill("one/file", 5 * MIB);
    tmpfs_sampler_advance(sampler, BAND_SCARCE, 110 * SEC);
    tmpfs_sampler_largest(sampler, &largest);
    ck_assert_uint_eq(largest.used, 4 * MIB);
    tmpfs_sampler_advance(sampler, BAND_SCARCE, 110 * SEC + 1);
    tmpfs_sampler_largest(sampler, &largest);
    ck_assert_uint_eq(largest.used, 5 * MIB);
}
END_TEST

START_TEST(a_mount_point_of_any_bytes_is_found)
{
    mount_tmpfs("a b\tc\n\\d");
    fill("a b\tc\n\\d/file", MIB);
    ck_assert_str_eq(look(SEC).path, path_of("a b\tc\n\\d"));
}
END_TEST

START_TEST(a_long_mount_point_is_cut)
{
    char name[TMPFS_PATH_MAX + 1];

    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    mount_tmpfs(name);
    fill("file", MIB);
    const struct tmpfs_snapshot largest = look(SEC);
    ck_assert_uint_eq(strlen(largest.path), TMPFS_PATH_MAX - 1);
    ck_assert_int_eq(strncmp(largest.path, path_of(name), TMPFS_PATH_MAX - 1), 0);
}
END_TEST

/* What lies over a tmpfs or over its parent may be a dead server's: it is not asked. */
START_TEST(what_is_mounted_over_is_not_asked)
{
    mount_tmpfs("one");
    fill("one/file", 4 * MIB);
    ck_assert_int_eq(mount("/usr", path_of("one"), NULL, MS_BIND, NULL), 0);
    show_mounts();
    ck_assert_str_eq(look(SEC).path, "");
    ck_assert_int_eq(umount(path_of("one")), 0);
    ck_assert_str_eq(look(2 * SEC).path, path_of("one"));
}
END_TEST

/* Nothing a line says is believed but with the mount's own id. */
START_TEST(lines_that_lie_name_nobody)
{
    static const char *const lines[] = {
        "1 1 0:1 / / rw - tmpfs tmpfs rw\n",
        "1 1 0:1 / /proc rw - tmpfs tmpfs rw\n",
        "1 1 0:1 / /nowhere rw - tmpfs tmpfs rw\n",
        "1 1 0:1 / ../.. rw - tmpfs tmpfs rw\n",
        "1 1 0:1 /\n",
        "1 - tmpfs \n",
        "x 1 0:1 / / rw - tmpfs tmpfs rw\n",
        " - tmpfs tmpfs",
        "\n",
    };

    for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
        fake_tree_write(tree, "proc/1/mountinfo", "%s", lines[i]);
        ck_assert_str_eq(look((i + 1) * SEC).path, "");
    }
}
END_TEST

START_TEST(without_the_right_nobody_is_named)
{
    sampler = tmpfs_sampler_free(sampler);
    fake_tree_remove(tree, "proc/1/root");
    ck_assert_int_eq(tmpfs_sampler_new(&tree->roots, &sampler), 0);
    ck_assert_str_eq(look(SEC).path, "");
}
END_TEST

int main(void)
{
    if (!namespace_can_be())
        return suite_skip("no mount namespace can be had here to mount a tmpfs in");

    Suite *suite = suite_create("sample_tmpfs");
    TCase *tests = tcase_create("tmpfs");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, the_largest_is_named_until_another_grows);
    tcase_add_test(tests, it_looks_no_more_often_than_the_band_asks);
    tcase_add_test(tests, a_mount_point_of_any_bytes_is_found);
    tcase_add_test(tests, a_long_mount_point_is_cut);
    tcase_add_test(tests, what_is_mounted_over_is_not_asked);
    tcase_add_test(tests, lines_that_lie_name_nobody);
    tcase_add_test(tests, without_the_right_nobody_is_named);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
