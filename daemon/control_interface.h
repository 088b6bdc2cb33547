/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The interface definitions that org.varlink.service.GetInterfaceDescription answers with.
 */
#ifndef PLIMSOLL_DAEMON_CONTROL_INTERFACE_H
#define PLIMSOLL_DAEMON_CONTROL_INTERFACE_H

/* io.plimsoll: what status_json() writes; a test holds the two together. */
const char *control_interface_description(void);
/* org.varlink.service, as the protocol defines it. */
const char *varlink_interface_description(void);

#endif
