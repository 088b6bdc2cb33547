/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the guard is asked of each kind of domain. */
#include "hook_scene.h"
#include "suite.h"

#include <plimsoll/cleanup.h>
#include <stdio.h>
#include <stdlib.h>

#define ADMITTED ANSWER("allow", "it fits", "true")

static char program[4096];

/* All of a question but its patience, which is the clock's. */
static const struct {
    const char *xml, *question;
} domains[] = {
    /* A plain one. */
    {WEB("<devices><memballoon model='virtio'/></devices>"),
        "{\"name\":\"web\",\"uuid\":\"" WEB_UUID "\",\"maximum\":2147483648,\"pinned\":false,"
        "\"allocated\":false,\"hugepages\":false,\"balloon\":true,\"nodes\":[]}"},
    /* A device of the host's. */
    {WEB("<devices><hostdev mode='subsystem' type='pci' managed='yes'/>"
         "<memballoon model='virtio'/></devices>"),
        "{\"name\":\"web\",\"uuid\":\"" WEB_UUID "\",\"maximum\":2147483648,\"pinned\":true,"
        "\"allocated\":false,\"hugepages\":false,\"balloon\":true,\"nodes\":[]}"},
    {WEB("<devices><interface type='vdpa'/><memballoon model='none'/></devices>"),
        "{\"name\":\"web\",\"uuid\":\"" WEB_UUID "\",\"maximum\":2147483648,\"pinned\":true,"
        "\"allocated\":false,\"hugepages\":false,\"balloon\":false,\"nodes\":[]}"},
    {WEB("<devices><disk type='nvme' device='disk'/></devices>"),
        "{\"name\":\"web\",\"uuid\":\"" WEB_UUID "\",\"maximum\":2147483648,\"pinned\":true,"
        "\"allocated\":false,\"hugepages\":false,\"balloon\":false,\"nodes\":[]}"},
    /* Its memory is locked, taken at once, of huge pages. */
    {WEB("<memoryBacking><locked/></memoryBacking>"),
        "{\"name\":\"web\",\"uuid\":\"" WEB_UUID "\",\"maximum\":2147483648,\"pinned\":true,"
        "\"allocated\":false,\"hugepages\":false,\"balloon\":false,\"nodes\":[]}"},
    {WEB("<memoryBacking><allocation mode='immediate'/></memoryBacking>"),
        "{\"name\":\"web\",\"uuid\":\"" WEB_UUID "\",\"maximum\":2147483648,\"pinned\":false,"
        "\"allocated\":true,\"hugepages\":false,\"balloon\":false,\"nodes\":[]}"},
    {WEB("<memoryBacking><hugepages/></memoryBacking>"),
        "{\"name\":\"web\",\"uuid\":\"" WEB_UUID "\",\"maximum\":2147483648,\"pinned\":false,"
        "\"allocated\":false,\"hugepages\":true,\"balloon\":false,\"nodes\":[]}"},
    /* Nodes, as far as they hold. */
    {WEB("<numatune><memory mode='strict' nodeset='0,2-3,63'/></numatune>"),
        "{\"name\":\"web\",\"uuid\":\"" WEB_UUID "\",\"maximum\":2147483648,\"pinned\":false,"
        "\"allocated\":false,\"hugepages\":false,\"balloon\":false,\"nodes\":[0,2,3,63]}"},
    {WEB("<numatune><memory mode='restrictive' nodeset='1'/></numatune>"),
        "{\"name\":\"web\",\"uuid\":\"" WEB_UUID "\",\"maximum\":2147483648,\"pinned\":false,"
        "\"allocated\":false,\"hugepages\":false,\"balloon\":false,\"nodes\":[1]}"},
    {WEB("<numatune><memory mode='preferred' nodeset='1'/></numatune>"),
        "{\"name\":\"web\",\"uuid\":\"" WEB_UUID "\",\"maximum\":2147483648,\"pinned\":false,"
        "\"allocated\":false,\"hugepages\":false,\"balloon\":false,\"nodes\":[]}"},
    /* Balloons that return nothing. */
    {WEB("<devices><memballoon model='virtio' autodeflate='on'/></devices>"),
        "{\"name\":\"web\",\"uuid\":\"" WEB_UUID "\",\"maximum\":2147483648,\"pinned\":false,"
        "\"allocated\":false,\"hugepages\":false,\"balloon\":false,\"nodes\":[]}"},
    {WEB("<devices><memballoon model='virtio'/></devices><launchSecurity type='sev'/>"),
        "{\"name\":\"web\",\"uuid\":\"" WEB_UUID "\",\"maximum\":2147483648,\"pinned\":false,"
        "\"allocated\":false,\"hugepages\":false,\"balloon\":false,\"nodes\":[]}"},
    /* Of 2 GiB, 1 GiB is virtio-mem's, and 256 MiB of that are plugged in. */
    {WEB("<devices><memory model='virtio-mem'><target><size unit='KiB'>1048576</size>"
         "<requested unit='KiB'>262144</requested></target></memory></devices>"),
        "{\"name\":\"web\",\"uuid\":\"" WEB_UUID "\",\"maximum\":1342177280,\"pinned\":false,"
        "\"allocated\":false,\"hugepages\":false,\"balloon\":false,\"nodes\":[]}"},
    {WEB("<devices><memory model='virtio-mem'><target><size unit='KiB'>1048576</size>"
         "</target></memory></devices>"),
        "{\"name\":\"web\",\"uuid\":\"" WEB_UUID "\",\"maximum\":2147483648,\"pinned\":false,"
        "\"allocated\":false,\"hugepages\":false,\"balloon\":false,\"nodes\":[]}"},
    /* Rules of its own. */
    {WEB("<metadata><p:d xmlns:p='urn:plimsoll:domain:1' class='gold' minimum='1G' "
         "priority='7'/></metadata>"),
        "{\"name\":\"web\",\"uuid\":\"" WEB_UUID "\",\"maximum\":2147483648,\"pinned\":false,"
        "\"allocated\":false,\"hugepages\":false,\"balloon\":false,\"nodes\":[],"
        "\"class\":\"gold\",\"minimum\":1073741824}"},
    {WEB("<metadata><p:d xmlns:p='urn:plimsoll:domain:1' minimum='62.5%'/></metadata>"),
        "{\"name\":\"web\",\"uuid\":\"" WEB_UUID "\",\"maximum\":2147483648,\"pinned\":false,"
        "\"allocated\":false,\"hugepages\":false,\"balloon\":false,\"nodes\":[],"
        "\"minimum_share\":6250}"},
};

START_TEST(what_is_asked)
{
    static const char *const answers[] = {ADMITTED, NULL};

    hook_program(program);
    ck_assert_str_eq(hook_ask(PATIENT, answers, domains[_i].xml, 0), "");
    struct json_object *question = guard_heard(0), *patience = NULL;
    ck_assert(json_object_object_get_ex(question, "patience", &patience));
    ck_assert(json_object_is_type(patience, json_type_int));
    json_object_object_del(question, "patience");
    ck_assert_str_eq(
        json_object_to_json_string_ext(question, JSON_C_TO_STRING_PLAIN), domains[_i].question);
    json_object_put(question);
}
END_TEST

int main(int argc, char *argv[])
{
    if (argc != 2) {
        (void)fprintf(stderr, "Usage: %s PLIMSOLL-HOOK\n", argv[0]);
        return EXIT_FAILURE;
    }
    (void)snprintf(program, sizeof(program), "%s", argv[1]);
    Suite *suite = suite_create("hook_question");
    TCase *tests = tcase_create("question");

    tcase_add_checked_fixture(tests, hook_scene_setup, hook_scene_teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, what_is_asked, 0, (int)ELEMENTSOF(domains));
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
