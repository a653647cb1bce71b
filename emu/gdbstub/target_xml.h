// SPDX-License-Identifier: MIT
// The target description gdb asks for (gdb manual, appendix G): which registers there are.
#ifndef VIV_GDBSTUB_TARGET_XML_H
#define VIV_GDBSTUB_TARGET_XML_H

// The XML text, from registers.def; free() releases it.
char *target_xml(void);

#endif
