/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The control interface: varlink (JSON objects, each ended by a NUL byte) on a Unix stream socket
 * in the runtime directory. Reading is for the socket's group; changing for root (SO_PEERCRED).
 */
#ifndef PLIMSOLL_CONTROL_H
#define PLIMSOLL_CONTROL_H

#define CONTROL_INTERFACE "io.plimsoll"
#define CONTROL_SOCKET_NAME CONTROL_INTERFACE
#define RUNTIME_DIRECTORY_DEFAULT "/run/plimsoll"
#define CONTROL_SOCKET_DEFAULT RUNTIME_DIRECTORY_DEFAULT "/" CONTROL_SOCKET_NAME
#define LEDGER_NAME "ledger"
#define CONFIG_FILE_DEFAULT "/etc/plimsoll/plimsoll.conf"

/* Longest request taken: none of ours has a parameter longer than a VM's name. */
#define CONTROL_REQUEST_MAX 4096
/* Longest reply sent and taken: the status of MAX_VMS_LIMIT guests at about 1 KiB each. */
#define CONTROL_REPLY_MAX (16UL * 1024 * 1024)
/* Members of this group may read: the socket is theirs, mode 0660. Without it, root alone. */
#define CONTROL_GROUP "plimsoll"

#define CONTROL_METHOD_STATUS CONTROL_INTERFACE ".GetStatus"
#define CONTROL_METHOD_LOG CONTROL_INTERFACE ".GetLog"
#define CONTROL_METHOD_PLAN CONTROL_INTERFACE ".Plan"
#define CONTROL_METHOD_VM CONTROL_INTERFACE ".GetVm"
#define CONTROL_METHOD_RELOAD CONTROL_INTERFACE ".Reload"
#define CONTROL_METHOD_HOLD CONTROL_INTERFACE ".Hold"
#define CONTROL_METHOD_RELEASE CONTROL_INTERFACE ".Release"
#define CONTROL_METHOD_UNDO CONTROL_INTERFACE ".Undo"
#define CONTROL_METHOD_ADMIT CONTROL_INTERFACE ".Admit"
/* A method that failed for a reason of its own: { "message": what happened and what to do }. */
#define CONTROL_ERROR_FAILED CONTROL_INTERFACE ".Failed"

#define VARLINK_INTERFACE "org.varlink.service"
#define VARLINK_METHOD_INFO "org.varlink.service.GetInfo"
#define VARLINK_METHOD_DESCRIPTION "org.varlink.service.GetInterfaceDescription"
#define VARLINK_ERROR_METHOD_NOT_FOUND "org.varlink.service.MethodNotFound"
#define VARLINK_ERROR_INVALID_PARAMETER "org.varlink.service.InvalidParameter"
#define VARLINK_ERROR_INTERFACE_NOT_FOUND "org.varlink.service.InterfaceNotFound"
#define VARLINK_ERROR_PERMISSION_DENIED "org.varlink.service.PermissionDenied"

#endif
