/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the folder of the running test and what the configuration's reader said. */
#include "config_scene.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

struct config_scene scene;

const char config_good[] = "# A comment\n"
                           "; another\n"
                           "[guard]\n"
                           "mode=enforce\n"
                           "floor = 4G   # of 256\n"
                           "vm-budget=80%\n"
                           "\ttight=10% 5min\n"
                           "scarce=5%\n"
                           "critical=10s\n"
                           "qmp-directory=/run/other/qmp\n"
                           "libvirt=qemu:///system\n"
                           "max-vms=200\n"
                           "on-exit=restore\n"
                           "max-destructive=5/1h 30min\n"
                           "\n"
                           "[memlock]\n"
                           "mode=enforce\n"
                           "pinned-limit=62.5%\n"
                           "\n"
                           "[class gold]\n"
                           "priority=900\n"
                           "shares=2000\n"
                           "minimum=75%\n"
                           "rungs=balloon pause\n"
                           "sacrifice=never\n"
                           "restart-cost=2h\n"
                           "mode=enforce\n"
                           "[class batch]\n"
                           "priority=1\n"
                           "[class default]\n"
                           "priority=50\n"
                           "[class empty]\n"
                           "[vm db[0-9]*]\n"
                           "class=gold\n"
                           "[vm render farm]\n"
                           "match=render-*\n"
                           "class=batch\n"
                           "minimum=1G\n"
                           "[vm db7]\n"
                           "priority=999\n"
                           "[vm render-never]\n"
                           "class=empty\n"
                           "sacrifice=last\n";

static void sink(const char *line, void *userdata)
{
    size_t used = strlen(scene.told), prefix = strlen(scene.folder) + 1;

    ck_assert_ptr_eq(userdata, scene.told);
    if (strncmp(line, scene.folder, prefix - 1) == 0)
        line += prefix;
    snprintf(scene.told + used, sizeof(scene.told) - used, "%s\n", line);
    scene.told_count++;
}

void config_scene_setup(void)
{
    scratch_make("config", scene.folder);
    snprintf(scene.path, sizeof(scene.path), "%s/p.conf", scene.folder);
    snprintf(scene.drop_ins, sizeof(scene.drop_ins), "%s.d", scene.path);
}

void config_scene_teardown(void)
{
    scratch_remove(scene.folder);
}

void config_write_drop_in(const char *name, const char *text)
{
    char full[256];

    snprintf(full, sizeof(full), "%s/%s", scene.drop_ins, name);
    scratch_write(full, text);
}

int config_try(struct config **ret_config)
{
    scene.told[0] = '\0';
    scene.told_count = 0;
    return config_load(scene.path, sink, scene.told, ret_config);
}

struct config *config_load_good(const char *text)
{
    struct config *config = NULL;

    scratch_write(scene.path, text);
    int result = config_try(&config);
    ck_assert_msg(result == 0, "%d: %s", result, scene.told);
    ck_assert_str_eq(scene.told, "");
    return config;
}
