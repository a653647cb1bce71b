// SPDX-License-Identifier: MIT
// A small encoder of ACPI machine language (ACPI 6.5, chapter 20) and of resource templates (6.4).
#ifndef VIV_MACHINE_AML_H
#define VIV_MACHINE_AML_H

#include "base/types.h"

// Bytes that grow as they are written; free(bytes) when done.
struct aml {
    u8 *bytes;
    size_t size, room;
};

// Appends bytes, or a little-endian number of size bytes.
void aml_bytes(struct aml *a, const void *bytes, size_t size);
void aml_number(struct aml *a, u64 value, unsigned size);

// Terms with a package length (20.2.4) are opened and closed around what they hold. open returns
// what close wants: where the length goes. Names are paths of four-letter segments: "_SB_",
// "\\_S5_".
size_t aml_open_scope(struct aml *a, const char *name);
size_t aml_open_device(struct aml *a, const char *name);
size_t aml_open_package(struct aml *a, u8 elements);
void aml_close(struct aml *a, size_t at);

// Name (name, ...): the object follows.
void aml_name(struct aml *a, const char *name);
void aml_integer(struct aml *a, u64 value); // in its shortest form
void aml_string(struct aml *a, const char *text);
// An identification like "PNP0A03", as its compressed integer (19.3.4).
void aml_eisa_id(struct aml *a, const char *id);
// Buffer with these bytes.
void aml_buffer(struct aml *a, const struct aml *content);

// Resource descriptors, to be collected in an aml of their own and ended by resource_end().
void resource_io(struct aml *a, u16 base, u8 length);
void resource_irq(struct aml *a, unsigned irq); // ISA: edge, active high
void resource_memory(struct aml *a, u32 base, u32 length);
// Windows that a bridge passes on: bus numbers, ports, memory; first to last.
void resource_bus_window(struct aml *a, u16 first, u16 last);
void resource_port_window(struct aml *a, u16 first, u16 last);
void resource_memory_window(struct aml *a, u32 first, u32 last);
void resource_end(struct aml *a);

#endif
