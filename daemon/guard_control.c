/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns what the guard answers through its control socket: a table of methods, of which each is a
 * few lines around what somebody else can do. Methods that change something are for root.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/control.h>

#include "control_interface.h"
#include "guard_private.h"

static int method_status(struct json_object *parameters, struct json_object **ret_parameters,
    struct error *ret_error, void *userdata)
{
    struct guard *guard = userdata;
    const struct status_aside aside = guard_status_aside(guard);
    struct json_object *status = status_json(guard->snapshot, guard->plan, guard->rules, &aside);

    (void)parameters;
    struct json_object *counts = counts_json(&guard->counts);
    if (!status || !counts || json_object_object_add(status, "counts", counts) < 0) {
        json_object_put(counts);
        json_object_put(status);
        return error_set(ret_error, -ENOMEM, "no memory for the status");
    }
    *ret_parameters = status;
    return 0;
}

static int method_reload(struct json_object *parameters, struct json_object **ret_parameters,
    struct error *ret_error, void *userdata)
{
    (void)parameters;
    (void)ret_parameters;
    return guard_reload_told(userdata, ret_error);
}

static int method_log(struct json_object *parameters, struct json_object **ret_parameters,
    struct error *ret_error, void *userdata)
{
    const struct guard *guard = userdata;
    struct json_object *after = json_object_object_get(parameters, "after");
    if (after && !json_object_is_type(after, json_type_int))
        return error_set(ret_error, -EBADR, "after");
    struct json_object *log =
        history_json(guard->history, after ? json_object_get_uint64(after) : 0);
    if (!log)
        return error_set(ret_error, -ENOMEM, "no memory for the log");
    *ret_parameters = log;
    return 0;
}

static const char *const log_parameters[] = {"after", NULL};

static const struct control_method methods[] = {
    {.name = CONTROL_METHOD_STATUS, .privileged = false, .call = method_status},
    {.name = CONTROL_METHOD_LOG,
        .privileged = false,
        .call = method_log,
        .parameters = log_parameters},
    {.name = CONTROL_METHOD_PLAN,
        .privileged = false,
        .call = guard_plan,
        .parameters = guard_plan_parameters},
    {.name = CONTROL_METHOD_VM,
        .privileged = false,
        .call = guard_vm,
        .parameters = guard_vm_parameters},
    {.name = CONTROL_METHOD_RELOAD, .privileged = true, .call = method_reload},
    {.name = CONTROL_METHOD_HOLD,
        .privileged = true,
        .call = guard_hold,
        .parameters = guard_hold_parameters},
    {.name = CONTROL_METHOD_RELEASE,
        .privileged = true,
        .call = guard_release,
        .parameters = guard_release_parameters},
    {.name = CONTROL_METHOD_UNDO,
        .privileged = true,
        .call = guard_undo,
        .parameters = guard_undo_parameters},
    {.name = CONTROL_METHOD_ADMIT,
        .privileged = true,
        .call = guard_admit,
        .parameters = guard_admit_parameters},
};

int guard_open_control(struct guard *guard, struct error *ret_error)
{
    char path[PATH_MAX];

    (void)snprintf(
        path, sizeof path, "%s/%s", guard->options.runtime_directory, CONTROL_SOCKET_NAME);
    return control_server_new(guard->loop, path, methods, ELEMENTSOF(methods),
        control_interface_description(), guard, &guard->control, ret_error);
}
