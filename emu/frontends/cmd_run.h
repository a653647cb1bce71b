// SPDX-License-Identifier: MIT
// "viv run".
#ifndef VIV_FRONTENDS_CMD_RUN_H
#define VIV_FRONTENDS_CMD_RUN_H

// Arguments after the command's name. Returns the process's exit status (DESIGN.md section 7).
int cmd_run(int argc, char **argv);

#endif
