// SPDX-License-Identifier: MIT
// "viv replay".
#ifndef VIV_FRONTENDS_CMD_REPLAY_H
#define VIV_FRONTENDS_CMD_REPLAY_H

// Arguments after the command's name. Returns the process's exit status (DESIGN.md section 7): that
// of the recorded run.
int cmd_replay(int argc, char **argv);

#endif
