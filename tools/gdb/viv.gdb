# SPDX-License-Identifier: MIT
# For gdb on viv's stub: gdb -x tools/gdb/viv.gdb ... (or "source" it from ~/.gdbinit). gdb is not told when "monitor seek" and
# the like move the machine, and the protocol has no way to tell it; so it forgets its registers after every monitor command.
define hookpost-monitor
    maintenance flush register-cache
end
document hookpost-monitor
Registers are read again after every monitor command: it may have gone to another time.
end
