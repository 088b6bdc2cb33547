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

#define CONTROL_METHOD_STATUS CONTROL_INTERFACE ".GetStatus"
#define CONTROL_METHOD_RELOAD CONTROL_INTERFACE ".Reload"
#define VARLINK_METHOD_INFO "org.varlink.service.GetInfo"
#define VARLINK_METHOD_DESCRIPTION "org.varlink.service.GetInterfaceDescription"
#define VARLINK_ERROR_METHOD_NOT_FOUND "org.varlink.service.MethodNotFound"
#define VARLINK_ERROR_INVALID_PARAMETER "org.varlink.service.InvalidParameter"
#define VARLINK_ERROR_INTERFACE_NOT_FOUND "org.varlink.service.InterfaceNotFound"
#define VARLINK_ERROR_PERMISSION_DENIED "org.varlink.service.PermissionDenied"

#endif
