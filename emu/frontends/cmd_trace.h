// SPDX-License-Identifier: MIT
// "viv trace".
#ifndef VIV_FRONTENDS_CMD_TRACE_H
#define VIV_FRONTENDS_CMD_TRACE_H

// Arguments after the command's name. Returns the process's exit status: 1 if an assertion of
// --check does not hold.
int cmd_trace(int argc, char **argv);

#endif
