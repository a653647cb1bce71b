// SPDX-License-Identifier: MIT
// "viv diff".
#ifndef VIV_FRONTENDS_CMD_DIFF_H
#define VIV_FRONTENDS_CMD_DIFF_H

// Arguments after the command's name. Returns 0: the same; 1: they differ; 64, 65 as elsewhere.
int cmd_diff(int argc, char **argv);

#endif
