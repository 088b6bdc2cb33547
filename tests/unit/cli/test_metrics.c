/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The status as metrics: what is not known is no sample, no two are the same, and the file that
 * node_exporter reads is whole at each moment. tests/unit/packaging/metrics has others read them.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/error.h>

#include "command.h"
#include "control_interface.h"
#include "metrics.h"
#include "scratch.h"
#include "suite.h"
#include "textfile.h"

#define SILENT                                                                                   \
    "# HELP plimsoll_up Whether the guard has answered; without it there is no other figure of " \
    "its.\n"                                                                                     \
    "# TYPE plimsoll_up gauge\n"                                                                 \
    "plimsoll_up 0\n"                                                                            \
    "# HELP plimsoll_command_info The command that wrote these metrics.\n"                       \
    "# TYPE plimsoll_command_info gauge\n"                                                       \
    "plimsoll_command_info{version=\"" PLIMSOLL_VERSION "\"} 1\n"

static char folder[SCRATCH_FOLDER_MAX], file[SCRATCH_FOLDER_MAX + 16];
static char *output;

static void setup(void)
{
    scratch_make("metrics", folder);
    (void)snprintf(file, sizeof(file), "%s/a.prom", folder);
}

static void teardown(void)
{
    scratch_remove(folder);
    free(output);
    output = NULL;
}

/* TEXT is JSON with ' in the place of ". */
static void make(const char *text, enum metric_format format)
{
    size_t size;
    char *json = strdup(text);

    ck_assert_ptr_nonnull(json);
    for (char *quote = json; (quote = strchr(quote, '\''));)
        *quote = '"';
    struct json_object *status = json_tokener_parse(json);
    ck_assert_msg(status != NULL, "no JSON: %s", json);
    free(json);
    free(output);
    FILE *out = open_memstream(&output, &size);
    ck_assert_int_eq(metrics_write(status, format, out), 0);
    ck_assert_int_eq(fclose(out), 0);
    json_object_put(status);
}

static void has(const char *line)
{
    char whole[512];

    (void)snprintf(whole, sizeof(whole), "\n%s\n", line);
    ck_assert_msg(strstr(output, whole) != NULL, "no “%s” in:\n%.4000s", line, output);
}

static unsigned count_of(const char *text)
{
    unsigned count = 0;

    for (const char *at = output; (at = strstr(at, text)); at++)
        count++;
    return count;
}

/* ---- what is known, and what is not ---- */

/* A document in which each field is of a wrong type, null, or out of range. */
#define WRONG(value)                                                                              \
    "{'version':" value ",'sequence':" value ",'realtime':" value ",'band':" value                \
    ",'sprint':" value ",'host':{'total':" value ",'available':" value ",'headroom':" value       \
    ",'fill_rate':" value ",'time_to_exhaustion':" value ",'band':" value ",'mode':" value        \
    ",'oom_kills':" value ",'pressure':{'some':" value ",'full':" value "},'nodes':[{'id':" value \
    ",'total':1},{'total':" value "}]},'budget':" value ",'vms':[{'name':'web','uuid':" value     \
    ",'pid':" value ",'class':" value ",'state':" value ",'rss':" value                           \
    ",'balloon':{'actual':" value ",'target':" value "},'memlock_unlimited':" value               \
    ",'measures':" value ",'node_bytes':" value ",'oom_score_adj':" value ",'resizable':" value   \
    "}," value "],'counts':{'since':" value ",'actions':[" value ",{'action':" value              \
    ",'done':1},{'action':'kill','done':" value "}],'alerts':" value "}}"

START_TEST(unknown_is_no_sample)
{
    static const char *const documents[] = {
        WRONG("null"), WRONG("[]"), WRONG("{}"), WRONG("[[1]]"), WRONG("1.5"), WRONG("''"), "{}"};

    for (size_t i = 0; i < ELEMENTSOF(documents); i++) {
        make(documents[i], METRIC_OPENMETRICS);
        has("plimsoll_up 1");
        has("plimsoll_guard_info 1");
        for (char *line = strtok(output, "\n"); line; line = strtok(NULL, "\n"))
            ck_assert_msg(line[0] == '#' || strcmp(line, "plimsoll_up 1") == 0 ||
                              strcmp(line, "plimsoll_vms 1") == 0 ||
                              strcmp(line, "plimsoll_vms 2") == 0 || strstr(line, "_info") ||
                              /* None is in force, where there is a list of them. */
                              (strstr(line, "_measure") && strstr(line, "} 0")),
                "document %zu: %s", i, line);
    }
    make(WRONG("-1"), METRIC_OPENMETRICS);
    ck_assert_ptr_null(strstr(output, "plimsoll_host_total_bytes"));
    ck_assert_ptr_null(strstr(output, "plimsoll_node_total_bytes"));
    ck_assert_ptr_null(strstr(output, "plimsoll_vm_rss_bytes"));
    ck_assert_ptr_null(strstr(output, "timestamp"));
    has("plimsoll_host_headroom_bytes -1"); /* below the floor */
}
END_TEST

START_TEST(values)
{
    make("{'realtime':1763877600000000001,'host':{'total':18446744073709551614,'headroom':"
         "-9223372036854775808,'time_to_exhaustion':0,'pressure':{'some':1500000000,"
         "'full':120000000000}},'sprint':false}",
        METRIC_OPENMETRICS);
    has("plimsoll_last_tick_timestamp_seconds 1763877600.000000001");
    has("plimsoll_host_total_bytes 18446744073709551614");
    has("plimsoll_host_headroom_bytes -9223372036854775808");
    has("plimsoll_host_time_to_exhaustion_seconds 0");
    has("plimsoll_host_memory_pressure_seconds_total{stalled=\"some\"} 1.5");
    has("plimsoll_host_memory_pressure_seconds_total{stalled=\"full\"} 120");
    has("plimsoll_sprint 0");
    has("# UNIT plimsoll_host_total_bytes bytes");
    ck_assert_str_eq(output + strlen(output) - strlen("\n# EOF\n"), "\n# EOF\n");
}
END_TEST

START_TEST(forms)
{
    static const char document[] =
        "{'version':'1','host':{'mode':'dry-run','total':5},'counts':{'actions':[{'action':'kill',"
        "'done':3}]}}";

    make(document, METRIC_OPENMETRICS);
    has("# TYPE plimsoll_guard info");
    has("# TYPE plimsoll_actions counter");
    has("plimsoll_actions_total{action=\"kill\",mode=\"enforce\"} 3");
    make(document, METRIC_TEXT);
    has("# TYPE plimsoll_guard_info gauge");
    has("# TYPE plimsoll_actions_total counter");
    has("# HELP plimsoll_host_total_bytes Memory in all; of the host.");
    has("plimsoll_actions_total{action=\"kill\",mode=\"enforce\"} 3");
    has("plimsoll_mode{mode=\"dry-run\"} 1");
    ck_assert_uint_eq(count_of("# UNIT") + count_of("# EOF") + count_of(" info\n"), 0);
    make(document, METRIC_JSON);
    ck_assert_ptr_nonnull(strstr(output, "{\"name\":\"plimsoll_host_total_bytes\",\"type\":"
                                         "\"gauge\",\"unit\":\"bytes\","));
    ck_assert_ptr_nonnull(
        strstr(output, "{\"name\":\"plimsoll_actions_total\",\"labels\":"
                       "{\"action\":\"kill\",\"mode\":\"enforce\"},\"value\":3}"));
    ck_assert_uint_eq(count_of("\n"), 1);
}
END_TEST

START_TEST(escapes)
{
    static const struct metric metric = {.name = "a", .help = "b"};
    const struct metric_label labels[] = {{"x", "\"q\" \\ \n end"}, {"y", ""}, {NULL, NULL}};
    struct metric_writer writer;
    size_t size;
    FILE *out = open_memstream(&output, &size);

    metric_writer_begin(&writer, METRIC_OPENMETRICS, out);
    metric_begin(&writer, &metric);
    metric_i64(&writer, labels, -1);
    ck_assert_int_eq(metric_writer_end(&writer), 0);
    ck_assert_int_eq(fclose(out), 0);
    ck_assert_str_eq(output,
        "# HELP a b\n# TYPE a gauge\na{x=\"\\\"q\\\" \\\\ \\n end\",y=\"\"} -1\n"
        "# EOF\n");
}
END_TEST

/* ---- words ---- */

/* Whether WORD is one of them. */
static bool is_state(const char *word, size_t length)
{
    size_t count;
    const char *const *words = metrics_vm_states(&count);

    for (size_t i = 0; i < count; i++) {
        if (strlen(words[i]) == length && memcmp(words[i], word, length) == 0)
            return true;
    }
    return false;
}

/* Each is described, and what is listed there, with a comma behind it, is one. */
START_TEST(states)
{
    char text[1024];
    const char *begin = strstr(control_interface_description(), "# state: ");
    const char *end = begin ? strstr(begin, "# kind: ") : NULL;
    size_t count;
    const char *const *words = metrics_vm_states(&count);

    ck_assert_ptr_nonnull(end);
    (void)snprintf(text, sizeof(text), "%.*s", (int)(end - begin), begin);
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(strstr(text, words[i]) != NULL, "%s is not described", words[i]);
    unsigned listed = 0;
    for (char *word = strtok(text, " \n"); word; word = strtok(NULL, " \n")) {
        size_t length = strlen(word);
        if (word[length - 1] != ',')
            continue;
        ck_assert_msg(is_state(word, length - 1), "%s is no state", word);
        listed++;
    }
    ck_assert_uint_gt(listed, 10);
}
END_TEST

START_TEST(a_word_of_a_newer_guard)
{
    make("{'band':'sinking','vms':[{'name':'a','uuid':'u','state':'dreaming','measures':['lull']},"
         "{'name':'b','uuid':'u','state':'a \\\"b\\\"','measures':['balloon',7]}]}",
        METRIC_TEXT);
    has("plimsoll_band{band=\"calm\"} 0");
    has("plimsoll_band{band=\"sinking\"} 1");
    has("plimsoll_vm_state{vm=\"a\",uuid=\"u\",state=\"running\"} 0");
    has("plimsoll_vm_state{vm=\"a\",uuid=\"u\",state=\"dreaming\"} 1");
    has("plimsoll_vm_measure{vm=\"a\",uuid=\"u\",measure=\"balloon\"} 0");
    has("plimsoll_vm_measure{vm=\"b\",uuid=\"u\",measure=\"balloon\"} 1");
    ck_assert_ptr_null(strstr(output, "lull"));
}
END_TEST

/* ---- who is who ---- */

START_TEST(guests_of_the_same_name)
{
    make(
        "{'vms':[{'name':'a','uuid':'1','pid':11,'rss':1},{'name':'a','uuid':'2','pid':12,'rss':2},"
        "{'name':'b','uuid':null,'pid':13,'rss':3},{'name':'b','uuid':null,'pid':14,'rss':4},"
        "{'name':'c','uuid':'3','pid':15,'rss':5},{'name':'c','uuid':'3','pid':16,'rss':6},"
        "{'name':'c','uuid':'3','pid':16,'rss':7},{'name':'d','rss':8},{'name':'d','rss':9},"
        "{'rss':10},7,{'pid':17,'rss':11}]}",
        METRIC_TEXT);
    has("plimsoll_vm_rss_bytes{vm=\"a\",uuid=\"1\"} 1");
    has("plimsoll_vm_rss_bytes{vm=\"a\",uuid=\"2\"} 2");
    has("plimsoll_vm_rss_bytes{vm=\"b\",pid=\"13\"} 3");
    has("plimsoll_vm_rss_bytes{vm=\"b\",pid=\"14\"} 4");
    has("plimsoll_vm_rss_bytes{vm=\"c\",uuid=\"3\",pid=\"15\"} 5");
    has("plimsoll_vm_rss_bytes{vm=\"c\",uuid=\"3\",pid=\"16\"} 6");
    has("plimsoll_vm_rss_bytes{vm=\"d\"} 8");
    has("plimsoll_vm_rss_bytes{pid=\"17\"} 11");
    ck_assert_uint_eq(count_of("\nplimsoll_vm_rss_bytes"), 8);
    has("plimsoll_vm_info{vm=\"a\",uuid=\"1\",pid=\"11\"} 1");
    has("plimsoll_vm_info{vm=\"c\",uuid=\"3\",pid=\"15\"} 1");
    has("plimsoll_vms 12");
}
END_TEST

START_TEST(nodes_and_counts_of_the_same_name)
{
    make("{'host':{'nodes':[{'id':0,'total':1},{'id':0,'total':2},{'id':3,'total':4},{'total':5}]},"
         "'vms':[{'name':'a','uuid':'1','node_bytes':[10,11,12,13,14]}],"
         "'counts':{'alerts':[{'event':'band','said':1},{'event':'band','said':2}]}}",
        METRIC_TEXT);
    has("plimsoll_node_total_bytes{node=\"0\"} 1");
    has("plimsoll_node_total_bytes{node=\"3\"} 4");
    ck_assert_uint_eq(count_of("\nplimsoll_node_total_bytes"), 2);
    has("plimsoll_vm_node_bytes{vm=\"a\",uuid=\"1\",node=\"0\"} 10");
    has("plimsoll_vm_node_bytes{vm=\"a\",uuid=\"1\",node=\"3\"} 12");
    ck_assert_uint_eq(count_of("\nplimsoll_vm_node_bytes"), 2);
    has("plimsoll_alerts_total{event=\"band\"} 1");
    ck_assert_uint_eq(count_of("\nplimsoll_alerts_total"), 1);
}
END_TEST

/* ---- the file ---- */

static void text_put(const char *path, const char *text)
{
    FILE *out = fopen(path, "we");

    ck_assert_ptr_nonnull(out);
    ck_assert_int_ge(fputs(text, out), 0);
    ck_assert_int_eq(fclose(out), 0);
}

static void text_is(const char *path, const char *text)
{
    char there[4096];
    FILE *in = fopen(path, "re");

    ck_assert_ptr_nonnull(in);
    size_t length = fread(there, 1, sizeof(there) - 1, in);
    there[length] = '\0';
    (void)fclose(in);
    ck_assert_str_eq(there, text);
}

/* Names in the folder, beside . and .. */
static int entries(void)
{
    char command[SCRATCH_FOLDER_MAX + 32];
    int count = -1;

    (void)snprintf(command, sizeof(command), "ls -A '%s' | wc -l", folder);
    FILE *in = popen(command, "re"); /* NOLINT(cert-env33-c): the folder is the test's own */
    ck_assert_int_eq(fscanf(in, "%d", &count), 1); /* NOLINT(cert-err34-c): wc's number */
    (void)pclose(in);
    return count;
}

START_TEST(a_file_is_replaced)
{
    char target[SCRATCH_FOLDER_MAX + 16];
    struct error error = {0};
    struct stat status;

    text_put(file, "old\n");
    (void)umask(0077);
    ck_assert_int_eq(textfile_replace(file, "new\n", 4, TEXTFILE_FOR_ALL, &error), 0);
    text_is(file, "new\n");
    ck_assert_int_eq(lstat(file, &status), 0);
    ck_assert_uint_eq(status.st_mode, S_IFREG | 0644);

    /* What is none is not replaced, nor what a link points to. */
    (void)snprintf(target, sizeof(target), "%s/target", folder);
    text_put(target, "precious\n");
    ck_assert_int_eq(unlink(file), 0);
    ck_assert_int_eq(symlink(target, file), 0);
    ck_assert_int_eq(textfile_replace(file, "again\n", 6, TEXTFILE_FOR_ALL, &error), -EEXIST);
    ck_assert_int_eq(lstat(file, &status), 0);
    ck_assert(S_ISLNK(status.st_mode));
    text_is(target, "precious\n");
    ck_assert_int_eq(unlink(file), 0);
    ck_assert_int_eq(mkfifo(file, 0600), 0);
    ck_assert_int_eq(textfile_replace(file, "again\n", 6, TEXTFILE_FOR_ALL, &error), -EEXIST);
    ck_assert_ptr_nonnull(strstr(error.text, "is there and no file"));
    ck_assert_int_eq(unlink(file), 0);

    /* What is not for all goes by the umask. */
    ck_assert_int_eq(textfile_replace(file, "mine\n", 5, 0, &error), 0);
    ck_assert_int_eq(lstat(file, &status), 0);
    ck_assert_uint_eq(status.st_mode, S_IFREG | 0600);

    ck_assert_int_eq(chdir(folder), 0);
    ck_assert_int_eq(textfile_replace("a.prom", "here\n", 5, TEXTFILE_FOR_ALL, &error), 0);
    text_is(file, "here\n");
    ck_assert_int_eq(entries(), 2);
}
END_TEST

START_TEST(a_failure_leaves_the_old_one)
{
    char path[SCRATCH_FOLDER_MAX + 64], name[300];
    const struct rlimit limit = {2, 2};
    struct error error = {0};

    text_put(file, "old\n");
    (void)snprintf(path, sizeof(path), "%s/none/a.prom", folder);
    ck_assert_int_lt(textfile_replace(path, "new\n", 4, TEXTFILE_FOR_ALL, &error), 0);
    ck_assert_ptr_nonnull(strstr(error.text, "cannot open the folder of "));
    (void)snprintf(path, sizeof(path), "%s/", folder);
    ck_assert_int_lt(textfile_replace(path, "new\n", 4, TEXTFILE_FOR_ALL, &error), 0);
    (void)snprintf(path, sizeof(path), "%s/folder", folder);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_lt(textfile_replace(path, "new\n", 4, TEXTFILE_FOR_ALL, &error), 0);
    ck_assert_ptr_nonnull(strstr(error.text, "it stays as it is"));
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    ck_assert_int_lt(textfile_replace(name, "new\n", 4, TEXTFILE_FOR_ALL, &error), 0);

    /* As on a full disk. */
    (void)signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_lt(textfile_replace(file, "new\n", 4, TEXTFILE_FOR_ALL, &error), 0);
    text_is(file, "old\n");
    ck_assert_int_eq(entries(), 2);
}
END_TEST

/* A reader never sees less than a whole file, nor parts of two. */
START_TEST(a_reader_sees_whole_files)
{
    static char text[2][200000];
    struct error error = {0};
    int status;

    for (int i = 0; i < 2; i++)
        memset(text[i], 'a' + i, sizeof(text[i]));
    ck_assert_int_eq(textfile_replace(file, text[0], sizeof(text[0]), TEXTFILE_FOR_ALL, &error), 0);
    pid_t writer = fork();
    ck_assert_int_ge(writer, 0);
    if (writer == 0) {
        for (int i = 0; i < 1000; i++)
            if (textfile_replace(file, text[i % 2], sizeof(text[0]), TEXTFILE_FOR_ALL, &error) < 0)
                _exit(EXIT_FAILURE);
        _exit(EXIT_SUCCESS);
    }
    unsigned seen[2] = {0};
    while (waitpid(writer, &status, WNOHANG) == 0) {
        static char there[sizeof(text[0]) + 1];
        int fd = open(file, O_RDONLY | O_CLOEXEC);
        ck_assert_int_ge(fd, 0);
        size_t length = 0;
        for (ssize_t count; (count = read(fd, there + length, sizeof(there) - length)) > 0;)
            length += (size_t)count;
        (void)close(fd);
        ck_assert_uint_eq(length, sizeof(text[0]));
        ck_assert(there[0] == 'a' || there[0] == 'b');
        ck_assert_int_eq(memcmp(there, text[there[0] - 'a'], length), 0);
        seen[there[0] - 'a']++;
    }
    ck_assert_int_eq(status, 0);
    ck_assert_uint_gt(seen[0] + seen[1], 0);
    ck_assert_int_eq(entries(), 1);
}
END_TEST

/* ---- the command without a guard ---- */

static int run(bool json, const char *option, const char *value)
{
    char name[] = "metrics", first[64] = "", second[256] = "";
    const struct command_context context = {.socket = "/nonexistent/socket", .json = json};
    char *arguments[] = {name, option ? first : NULL, value ? second : NULL, NULL};

    (void)snprintf(first, sizeof(first), "%s", option ? option : "");
    (void)snprintf(second, sizeof(second), "%s", value ? value : "");
    optind = 0; /* as main() does */
    return command_metrics(&context, 1 + (option != NULL) + (value != NULL), arguments);
}

START_TEST(without_a_guard)
{
    text_put(file, "plimsoll_up 1\nplimsoll_vm_rss_bytes 7\n");
    ck_assert_int_eq(run(false, "--textfile", file), COMMAND_UNREACHABLE);
    text_is(file, SILENT);
    ck_assert_int_eq(run(false, NULL, NULL), COMMAND_UNREACHABLE);
    ck_assert_int_eq(run(true, NULL, NULL), COMMAND_UNREACHABLE);
    ck_assert_int_eq(run(false, "--textfile", "/nonexistent/a.prom"), COMMAND_FAILED);
}
END_TEST

START_TEST(a_command_line_that_is_none)
{
    ck_assert_int_eq(run(false, "--nothing", NULL), COMMAND_USAGE);
    ck_assert_int_eq(run(false, "--textfile", NULL), COMMAND_USAGE);
    ck_assert_int_eq(run(false, "file", NULL), COMMAND_USAGE);
    ck_assert_int_eq(run(true, "--textfile", file), COMMAND_USAGE);
    ck_assert_int_eq(entries(), 0);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("metrics");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, unknown_is_no_sample);
    tcase_add_test(tests, values);
    tcase_add_test(tests, forms);
    tcase_add_test(tests, escapes);
    tcase_add_test(tests, states);
    tcase_add_test(tests, a_word_of_a_newer_guard);
    tcase_add_test(tests, guests_of_the_same_name);
    tcase_add_test(tests, nodes_and_counts_of_the_same_name);
    tcase_add_test(tests, a_file_is_replaced);
    tcase_add_test(tests, a_failure_leaves_the_old_one);
    tcase_add_test(tests, a_reader_sees_whole_files);
    tcase_add_test(tests, without_a_guard);
    tcase_add_test(tests, a_command_line_that_is_none);
    Suite *suite = suite_create("metrics");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
