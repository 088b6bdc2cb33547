/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The input as one datagram from plimsoll-virt: refused, or a record that encodes to the same
 * bytes.
 */
#include <plimsoll/virt.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t again[VIRT_DATAGRAM_MAX];
    struct virt_record record;

    if (virt_decode(data, size, &record) < 0)
        return 0;
    int length = virt_encode(&record, again);
    if (length < 0 || (size_t)length != size || memcmp(data, again, size) != 0)
        abort();
    return 0;
}
