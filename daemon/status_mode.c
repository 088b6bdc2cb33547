/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the words for whether the guard acts. A hold is dry run for a time; whoever looks is to see
 * that it is that, and when it ends.
 */
#include "status.h"

#include "json_writer.h"

const char *status_mode(const struct rules *rules, const struct vm_rules *own)
{
    const struct host_rules *host = &rules->host;

    if (own && own->mode != MODE_ENFORCE)
        return mode_name(own->mode);
    return host->held ? "held" : mode_name(host->mode);
}

uint64_t status_hold_left(const struct snapshot *snapshot, const struct rules *rules)
{
    return sub_or_zero(rules->host.held_until, snapshot->time);
}

struct json_object *status_hold_json(const struct snapshot *snapshot, uint64_t left)
{
    struct json_writer writer;

    json_writer_begin(&writer);
    json_writer_u64(
        &writer, "until", known(snapshot->realtime) ? add_held(snapshot->realtime, left) : UNKNOWN);
    json_writer_u64(&writer, "remaining", left);
    return json_writer_end(&writer);
}
