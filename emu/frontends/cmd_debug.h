// SPDX-License-Identifier: MIT
#ifndef VIV_FRONTENDS_CMD_DEBUG_H
#define VIV_FRONTENDS_CMD_DEBUG_H

int cmd_debug(int argc, char **argv);

#endif
