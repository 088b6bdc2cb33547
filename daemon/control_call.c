/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the way from a call to its reply. The two methods of org.varlink.service are answered here;
 * for the others the table decides. Checks come in the order in which they reveal least: method,
 * rights, parameters.
 */
#include "control_call.h"

#include "control_interface.h"

#include <errno.h>
#include <plimsoll/control.h>
#include <string.h>

/* A name for tools that show where a service comes from; the project's namespace, as in the
 * domain metadata. */
#define CONTROL_URL "urn:plimsoll"

static const char *const no_parameters[] = {NULL};
static const char *const description_parameters[] = {"interface", NULL};

static struct json_object *string_add(
    struct json_object *object, const char *key, const char *value)
{
    struct json_object *text = json_object_new_string(value);

    if (object && text && json_object_object_add(object, key, text) == 0)
        return object;
    json_object_put(text);
    json_object_put(object);
    return NULL;
}

static struct json_object *info_answer(void)
{
    struct json_object *parameters = json_object_new_object();
    struct json_object *interfaces;

    parameters = string_add(parameters, "vendor", "Plimsoll");
    parameters = string_add(parameters, "product", "Plimsoll");
    parameters = string_add(parameters, "version", PLIMSOLL_VERSION);
    parameters = string_add(parameters, "url", CONTROL_URL);
    interfaces = json_object_new_array_ext(2);
    if (!parameters || !interfaces ||
        json_object_array_add(interfaces, json_object_new_string(VARLINK_INTERFACE)) < 0 ||
        json_object_array_add(interfaces, json_object_new_string(CONTROL_INTERFACE)) < 0 ||
        json_object_object_add(parameters, "interfaces", interfaces) < 0) {
        json_object_put(interfaces);
        json_object_put(parameters);
        return NULL;
    }
    return varlink_reply_new(parameters);
}

static struct json_object *description_answer(
    const struct control_service *service, struct json_object *parameters)
{
    struct json_object *interface = NULL, *answer;
    const char *name, *text;

    if (!parameters || !json_object_object_get_ex(parameters, "interface", &interface) ||
        !json_object_is_type(interface, json_type_string))
        return varlink_error_new(VARLINK_ERROR_INVALID_PARAMETER, "parameter", "interface");
    name = json_object_get_string(interface);
    if (strcmp(name, VARLINK_INTERFACE) == 0)
        text = varlink_interface_description();
    else if (strcmp(name, CONTROL_INTERFACE) == 0)
        text = service->description;
    else
        return varlink_error_new(VARLINK_ERROR_INTERFACE_NOT_FOUND, "interface", name);
    answer = string_add(json_object_new_object(), "description", text);
    return answer ? varlink_reply_new(answer) : NULL;
}

/* The name of the first parameter that is not in NAMES; NULL: all are. */
static const char *parameter_unknown(struct json_object *parameters, const char *const *names)
{
    if (!parameters)
        return NULL;
    json_object_object_foreach(parameters, key, value)
    {
        const char *const *name = names;

        (void)value;
        while (*name && strcmp(*name, key) != 0)
            name++;
        if (!*name)
            return key;
    }
    return NULL;
}

static struct json_object *failure_answer(int code, const struct error *error)
{
    const char *text = error->text[0] ? error->text : strerror(-code);

    if (code == -EBADR)
        return varlink_error_new(VARLINK_ERROR_INVALID_PARAMETER, "parameter", text);
    return varlink_error_new(CONTROL_ERROR_FAILED, "message", text);
}

static struct json_object *method_answer(const struct control_service *service,
    const struct control_method *method, struct json_object *parameters)
{
    struct json_object *given = parameters ? json_object_get(parameters) : json_object_new_object();
    struct json_object *answer = NULL;
    struct error error = {0};
    int result;

    if (!given)
        return NULL;
    result = method->call(given, &answer, &error, service->userdata);
    json_object_put(given);
    if (result < 0)
        return failure_answer(result, &error);
    if (!answer)
        answer = json_object_new_object();
    return answer ? varlink_reply_new(answer) : NULL;
}

static const struct control_method *method_find(
    const struct control_service *service, const char *name)
{
    for (unsigned i = 0; i < service->method_count; i++)
        if (strcmp(service->methods[i].name, name) == 0)
            return &service->methods[i];
    return NULL;
}

static struct json_object *not_found_answer(const char *method)
{
    size_t length = varlink_interface_length(method);
    char interface[CONTROL_REQUEST_MAX];

    if ((length == strlen(VARLINK_INTERFACE) && strncmp(method, VARLINK_INTERFACE, length) == 0) ||
        (length == strlen(CONTROL_INTERFACE) && strncmp(method, CONTROL_INTERFACE, length) == 0))
        return varlink_error_new(VARLINK_ERROR_METHOD_NOT_FOUND, "method", method);
    if (length >= sizeof(interface))
        length = sizeof(interface) - 1;
    memcpy(interface, method, length);
    interface[length] = '\0';
    return varlink_error_new(VARLINK_ERROR_INTERFACE_NOT_FOUND, "interface", interface);
}

struct json_object *control_call_answer(
    const struct control_service *service, const struct varlink_call *call, bool privileged)
{
    const struct control_method *method = method_find(service, call->method);
    bool info = strcmp(call->method, VARLINK_METHOD_INFO) == 0;
    bool description = strcmp(call->method, VARLINK_METHOD_DESCRIPTION) == 0;
    const char *const *names = no_parameters;
    const char *unknown;

    if (!method && !info && !description)
        return not_found_answer(call->method);
    if (method && method->privileged && !privileged)
        return varlink_error_new(VARLINK_ERROR_PERMISSION_DENIED, NULL, NULL);
    if (call->upgrade) /* no method of ours leaves varlink for another protocol */
        return varlink_error_new(VARLINK_ERROR_INVALID_PARAMETER, "parameter", "upgrade");
    if (call->parameters_bad)
        return varlink_error_new(VARLINK_ERROR_INVALID_PARAMETER, "parameter", "parameters");

    if (description)
        names = description_parameters;
    else if (method && method->parameters)
        names = method->parameters;
    unknown = parameter_unknown(call->parameters, names);
    if (unknown)
        return varlink_error_new(VARLINK_ERROR_INVALID_PARAMETER, "parameter", unknown);

    if (info)
        return info_answer();
    if (description)
        return description_answer(service, call->parameters);
    return method_answer(service, method, call->parameters);
}
