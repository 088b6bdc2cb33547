/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns where the record goes. A guard without one guards as well, so that it cannot be kept is no
 * reason not to start.
 */
#include <string.h>

#include "guard_private.h"
#include "log.h"

void guard_resolve_record(struct guard *guard)
{
    const struct record_config *record = config_record(guard->config);
    const char *folder = record->off ? NULL : guard->options.record_folder;
    const struct recorder_options options = {
        .directory = folder, .limit = record->limit, .vm_capacity = guard->vm_capacity};
    int result = guard->recorder ? recorder_set(guard->recorder, folder, record->limit)
                                 : recorder_new(&options, &guard->recorder);

    if (result < 0)
        log_message(LOG_WARNING, "the record is %s: %s",
            guard->recorder ? "kept as it was" : "not kept", strerror(-result));
}

void guard_prepare_record(struct guard *guard)
{
    uint32_t count = 0;

    for (uint32_t slot = 0; slot < guard->vm_capacity; slot++)
        count += inventory_vm(guard->inventory, slot) != NULL;
    recorder_prepare(guard->recorder, count);
}
