/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes the metrics that others read, into a folder: KIND.om (OpenMetrics), KIND.prom (for
 * node_exporter), KIND.json, of each kind:
 *
 *   guard    what `plimsoll metrics` says of a whole guard on a fake host, after a storm
 *   dead     … of one that is not there
 *   full     a status in which everything is known, and nothing is 0
 *   hostile  names as bad as can be, and the same ones again and again
 *   many     500 guests
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <plimsoll/control.h>

#include "command.h"
#include "fake_host.h"
#include "metrics.h"
#include "suite.h"

#define MANY 500

static const char *folder;
static struct fake_host host;

static const char *path_of(const char *kind, const char *ending)
{
    static char path[512];

    (void)snprintf(path, sizeof(path), "%s/%s.%s", folder, kind, ending);
    return path;
}

/* ---- a guard ---- */

static int command_run(const char *output, bool json, char *textfile)
{
    char path[256], name[] = "metrics", option[] = "--textfile";
    const struct command_context context = {.socket = path, .json = json};
    char *arguments[] = {name, textfile ? option : NULL, textfile, NULL};

    (void)snprintf(path, sizeof(path), "%s/%s", host.tree->folder, CONTROL_SOCKET_NAME);
    if (!freopen(output, "w", stdout))
        _exit(EXIT_FAILURE);
    int status = command_metrics(&context, textfile ? 3 : 1, arguments);
    return fflush(stdout) == 0 ? status : EXIT_FAILURE;
}

/* Its exit code, which is EXPECTED. */
static void command_check(int expected, const char *output, bool json, char *textfile)
{
    int status;
    pid_t child = fork();

    ck_assert_int_ge(child, 0);
    if (child == 0)
        _exit(command_run(output, json, textfile));
    while (waitpid(child, &status, WNOHANG) == 0) {
        ck_assert_int_ge(loop_wait(host.guard->loop, loop_now() + 10 * NSEC_PER_MSEC), 0);
        if (host.guard->control)
            control_server_expire(host.guard->control, loop_now());
    }
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), expected);
}

static void commands_check(int expected, const char *kind)
{
    char textfile[512];

    command_check(expected, path_of(kind, "om"), false, NULL);
    command_check(expected, path_of(kind, "json"), true, NULL);
    (void)snprintf(textfile, sizeof(textfile), "%s", path_of(kind, "prom"));
    command_check(expected, "/dev/null", false, textfile);
}

START_TEST(a_guard)
{
    fake_host_begin(&host, FAKE_CGROUPS_V2,
        "[guard]\nmode=enforce\nqmp-directory=/nonexistent\nmax-vms=8\n[class default]\n"
        "mode=enforce\n");
    pid_t pid = fake_host_guest(&host, "one \"guest\"", 4 * GIB);
    (void)fake_host_guest(&host, "another", GIB);
    fake_host_start_guard(&host);
    fake_host_set_available(&host, 8 * GIB);
    uint64_t rss = 4 * GIB;
    for (uint64_t available = 8 * GIB; available > 400 * MIB; available -= 400 * MIB) {
        rss += 400 * MIB;
        fake_host_set_rss(&host, pid, rss);
        fake_host_set_available(&host, available);
        fake_host_tick(&host, 100 * NSEC_PER_MSEC);
    }
    commands_check(COMMAND_OK, "guard");
    host.guard->control = control_server_free(host.guard->control);
    commands_check(COMMAND_UNREACHABLE, "dead");
    fake_host_end(&host);
}
END_TEST

/* ---- made up ---- */

static void status_write(struct json_object *status, const char *kind)
{
    static const char *const endings[] = {
        [METRIC_OPENMETRICS] = "om", [METRIC_TEXT] = "prom", [METRIC_JSON] = "json"};

    for (int format = 0; format <= METRIC_JSON; format++) {
        FILE *out = fopen(path_of(kind, endings[format]), "we");
        ck_assert_ptr_nonnull(out);
        ck_assert_int_eq(metrics_write(status, (enum metric_format)format, out), 0);
        ck_assert_int_eq(fclose(out), 0);
    }
}

#define POOL                                                                                  \
    "'total':1,'available':2,'pinned':3,'reserved':4,'headroom':-5,'floor':6,'fill_rate':-7," \
    "'time_to_exhaustion':1500000000,'band':'tight'"
#define PAGES "'free':8,'hugepages_total':9,'hugepages_free':10"

static struct json_object *parse(const char *text)
{
    char *json = strdup(text);

    ck_assert_ptr_nonnull(json);
    for (char *quote = json; (quote = strchr(quote, '\''));)
        *quote = '"';
    struct json_object *object = json_tokener_parse(json);
    ck_assert_msg(object != NULL, "no JSON: %s", json);
    free(json);
    return object;
}

static struct json_object *full_status(void)
{
    return parse(
        "{'version':'1.2','sequence':11,'realtime':1700000000123456789,'band':'tight','sprint':"
        "true,"
        "'host':{" POOL "," PAGES ",'mode':'enforce','swap_total':12,'swap_free':13,"
        "'commit_limit':14,'committed':15,'oom_kills':16,'fill_rate_most':17,'guests_held':18,"
        "'guests_growth':-19,'pressure':{'some':1000,'full':2000000000},"
        "'nodes':[{'id':0," POOL "," PAGES "},{'id':8," POOL "," PAGES "}]},"
        "'budget':{" POOL "},"
        "'vms':[{'name':'web','uuid':'deadbeef-0000-0000-0000-000000000001','pid':4711,"
        "'class':'gold','state':'paused','kind':'elastic','kind_reason':'none','rss':20,"
        "'pinned':21,'swap':22,'minimum':23,'maximum':24,'balloon':{'actual':25,'target':26},"
        "'memlock_limit':27,'memlock_unlimited':false,'measures':['balloon','stopped'],"
        "'mode':'enforce','priority':900,'monitor':'ready','migrating':false,'hugetlb':28,"
        "'cgroup_current':29,'oom_score_adj':-30,'node_bytes':[31,32],"
        "'resizable':{'size':33,'requested':34}}],"
        "'counts':{'since':1700000000000000000,"
        "'actions':[{'action':'balloon','done':1,'dry_run':2,'failed':3},"
        "{'action':'kill','done':4,'dry_run':5,'failed':6}],"
        "'alerts':[{'event':'band','said':7},{'event':'kernel-kill','said':8}]}}");
}

static struct json_object *vms_of(struct json_object *status)
{
    struct json_object *vms = json_object_object_get(status, "vms");

    ck_assert(json_object_is_type(vms, json_type_array));
    return vms;
}

/* Another guest like the first, of this name; UUID NULL: without one. */
static void guest_add(struct json_object *status, const char *name, const char *uuid, int pid)
{
    struct json_object *first = json_object_array_get_idx(vms_of(status), 0), *guest = NULL;

    ck_assert_int_eq(json_object_deep_copy(first, &guest, NULL), 0);
    (void)json_object_object_add(guest, "name", json_object_new_string(name));
    (void)json_object_object_add(guest, "uuid", uuid ? json_object_new_string(uuid) : NULL);
    (void)json_object_object_add(guest, "pid", json_object_new_int(pid));
    (void)json_object_array_add(vms_of(status), guest);
}

START_TEST(everything)
{
    struct json_object *status = full_status();

    status_write(status, "full");
    json_object_put(status);
}
END_TEST

START_TEST(names)
{
    static const char *const bad[] = {"say \"hi\"", "back\\slash\\", "end\\\"", "new\nline",
        "\"} 1\nplimsoll_up{x=\"", "\x1b[2J", "\xff\xfe", "\xe2\x80\xae-evil", "\xed\xa0\x80", "",
        "# EOF", "caf\xc3\xa9", "tab\there", "\r", "{}", "a,b=\"c\""};
    struct json_object *status = full_status();
    char whole[301];

    memset(whole, 'x', sizeof(whole) - 1);
    whole[sizeof(whole) - 1] = '\0';
    guest_add(status, whole, NULL, 1);
    whole[sizeof(whole) - 2] = 'y';
    guest_add(status, whole, NULL, 2);
    for (int i = 0; i < (int)ELEMENTSOF(bad); i++) {
        guest_add(status, bad[i], NULL, 100 + i);
        guest_add(status, bad[i], NULL, 200 + i);
        guest_add(status, bad[i], NULL, 200 + i); /* nothing tells it from the one before */
        guest_add(status, bad[i], bad[i], 300 + i);
    }
    status_write(status, "hostile");
    json_object_put(status);
}
END_TEST

START_TEST(many)
{
    struct json_object *status = full_status();

    for (int i = 1; i < MANY; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "guest-%d", i % 100);
        guest_add(status, name, NULL, i);
    }
    status_write(status, "many");
    json_object_put(status);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc != 2)
        return EXIT_FAILURE;
    folder = argv[1];
    if (!suite_has_pidfd())
        return suite_skip(SUITE_NO_PIDFD);
    TCase *tests = tcase_create("metrics");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_guard);
    tcase_add_test(tests, everything);
    tcase_add_test(tests, names);
    tcase_add_test(tests, many);
    Suite *suite = suite_create("print_metrics");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
