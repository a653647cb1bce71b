// SPDX-License-Identifier: MIT
// Something to look at: processes that compute, and a family that shares pages by copy-on-write.
#pragma once

void load_more(void); // one busy process more, each with another nice value
void load_less(void);
void load_family(void); // starts it, or ends it
void load_end(void);
unsigned load_count(void);
