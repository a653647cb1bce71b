// SPDX-License-Identifier: MIT
// What the assembly and the C part of the task-switch kernel share: its own descriptors, after legacy.h's.
#ifndef TASKS_H
#define TASKS_H

#include "legacy.h"

#define TASK_B 0x78
#define TASK_16 0x80
#define TASK_GATE 0x88        // DPL 3, to TASK_B
#define LDT_B 0x90
#define TASK_SHORT 0x98       // its limit is one byte too low
#define TASK_ABSENT 0xA0
#define ABSENT_CS 0xA8
#define TASK_GATE_ABSENT 0xB0
#define TASK_GATE_LDT 0xB8    // to a selector of the LDT
#define CONFORMING_CS 0xC0
#define TASK_B_USER 0xC8      // the same TSS, DPL 3
#define ABSENT_LDT 0xD0
#define TASK_GDT_BYTES 0xD8

#define VECTOR_TASK 0x40      // a task gate, DPL 3
#define VECTOR_CONFORMING 0x41
#define VECTOR_TASK_BUSY 0x42

#endif
