# SPDX-License-Identifier: MIT
# For gdb on viv's stub: gdb -x tools/gdb/viv.gdb ... (or "source" it from ~/.gdbinit). gdb is not told when "monitor seek" and
# the like move the machine, and the protocol has no way to tell it; so it forgets its registers after every monitor command.
define hookpost-monitor
    maintenance flush register-cache
end
document hookpost-monitor
Registers are read again after every monitor command: it may have gone to another time.
end

define kernel-names
    symbol-file $arg0
    eval "symbol-file -o %#lx $arg0", $lstar - (unsigned long)&entry_SYSCALL_64
end
document kernel-names
kernel-names FILE: a Linux kernel's names (viv symbols KERNEL FILE), for where it has put itself. When it is up.
end
