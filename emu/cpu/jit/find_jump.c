// SPDX-License-Identifier: MIT
// What a jump does that its address space's jump cache does not know: a second cache, which all
// address spaces share, says where the translated code of a byte of guest memory is. Called from
// translated code with the guest's registers in the host's: this file is compiled without vector
// registers.
#include "cpu/jit/jit_internal.h"

u64 jit_find_jump(struct cpu *cpu, u64 linear)
{
    const u8 *guest = tlb_lookup(&cpu->tables->fetch, linear, 1);
    if (!guest) {
        return JIT_NO_JUMP;
    }
    const struct jit_code_at *found = code_at_slot(cpu->jit, guest);
    if (found->guest != guest) {
        return JIT_NO_JUMP;
    }
    mmu_remember_jump(cpu->mmu, linear, found->code);
    return (u64)tlb_jump_index(linear) << 1;
}
