// SPDX-License-Identifier: MIT
#ifndef VIV_FRONTENDS_CMD_SYMBOLS_H
#define VIV_FRONTENDS_CMD_SYMBOLS_H

int cmd_symbols(int argc, char **argv);

#endif
