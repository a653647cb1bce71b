// SPDX-License-Identifier: MIT
// What the tracer may ask about the guest, answered from the kernel's debug information.
#ifndef VIV_FRONTENDS_GUEST_NAMES_H
#define VIV_FRONTENDS_GUEST_NAMES_H

#include "frontends/session.h"
#include "trace/trace_guest.h"

struct guest_names;

// Never fails: without debug information nothing is answered.
struct guest_names *guest_names_open(struct session *s);
void guest_names_close(struct guest_names *n);
// The answers; those that cannot be given are NULL. Valid until closed.
struct trace_guest guest_names_answers(struct guest_names *n);

#endif
