// SPDX-License-Identifier: MIT
// What the parts of the translator share while a block is made. Private to emu/cpu/jit.
#ifndef VIV_CPU_JIT_TRANSLATOR_H
#define VIV_CPU_JIT_TRANSLATOR_H

#include "cpu/jit/jit_internal.h"
#include "cpu/jit/regmap.h"
#include "isa/op_columns.h"

#define SITES_MAX (BLOCK_INSNS_MAX * 4)

// A jump out of the straight code, to be given its stub at the end of the block.
enum site_kind {
    SITE_INSN,   // the interpreter executes the instruction, then it goes on behind it
    SITE_JUMP,   // the jump cache does not know the address in r11
    SITE_READ,   // the same, unless the operand lies in two pages that the TLB has
    SITE_LINK,   // a taken jump to a page offset
    SITE_ENTRY,  // the budget does not cover the block
    SITE_VECTOR, // vector registers are not live
    SITE_LEAD,   // what its group reaches is in no page of the TLB: it is looked up by itself
    SITE_FOLLOW, // the same, or C ran since (shares.c)
    SITE_RUN,    // it has its target already (page_run.c)
};

// A memory operand without segment: slots of cpu->gpr.
struct place {
    u8 base, index, scale;
    s32 disp;
};

// What is to be checked; aligned: 16 or 32 bytes that must be.
struct access {
    unsigned size;
    bool write, aligned;
};

struct site {
    u8 *jump; // the displacement
    u8 kind, insn;
    // SITE_LINK; SITE_JUMP: one of those below; SITE_READ: bytes << 8 | address register
    u16 offset;
    u8 address;           // SITE_LEAD: the register with the address of what its group reaches
    struct place place;   // SITE_FOLLOW: the operand's
    struct access access; // of both
    const u8 *back;       // SITE_VECTOR, SITE_JUMP, SITE_READ and those: where it goes on
    const u8 *stub;       // SITE_LINK: run address
};

// Whose jump it is: an instruction's, or the way from the block's end to the next page.
enum { JUMP_OF_INSN, JUMP_BEHIND };

// What is known of a block's vector instructions before it is translated (tr_vector.c).
struct vector_plan {
    u8 needs[BLOCK_INSNS_MAX]; // enum vector_level that is not known to be reached before it
    u8 *island;                // a jump to the first such instruction's stub, in front of the block
    unsigned island_insn, island_site;
};

// Accesses of a loop that move with the same registers: what they reach lies in one page, or the
// loop is not run without checks (page_run.c).
#define RUN_GROUPS_MAX JIT_RUN_GROUPS
struct run_group {
    u8 base, index, scale;
    bool base_moves, index_moves, write;
    u8 by, by_scale; // the register that is added in each iteration, SLOT_ZERO: none
    s32 stride;      // in each iteration
    s32 first, end;  // displacements at the iteration's beginning
};
struct run_access {
    u8 insn, size, group;
    bool write, aligned;
};
struct run_exit {
    u8 *jump; // the displacement
    u8 insn;
};
struct run_guest {
    u8 guest, instead; // which lives in memory meanwhile
};
struct page_run {
    bool refused; // something accesses memory in another way
    bool active;  // its body is being made, or looked at as such
    bool again;   // flags between iterations are made by repeating the comparison at the end
    bool hoists;  // the first two groups' distances are in r10 and r11
    unsigned access_count, group_count, exit_count, bail_count, guest_count;
    struct run_guest guests[16]; // that have host registers in the body
    u8 map[16];                  // host_of() there
    struct run_access accesses[BLOCK_INSNS_MAX];
    struct run_group groups[RUN_GROUPS_MAX];
    struct run_exit exits[BLOCK_INSNS_MAX];
    u8 *bails[RUN_GROUPS_MAX * 2 + 2];
};

// Accesses of a block that one check does for (shares.c). Places are relative to what the registers
// were when they had last been set.
#define SHARE_ISLANDS 5
struct share {
    u8 base, index, scale, base_version, index_version;
    u8 leader, followers;
    u8 slot;  // 1 + where the host's address is kept, 0: nowhere
    u8 align; // what the first byte's address must be a multiple of, 0: nothing
    bool write, jumped, led;
    s32 first, end;
};
struct share_use {
    u8 share; // 1 + its number, 0: none
    s32 at;
};
struct shares {
    unsigned count, waiting; // followers that are not translated yet
    struct share of[BLOCK_INSNS_MAX];
    struct share_use use[BLOCK_INSNS_MAX];
    u8 in_rcx;                        // 1 + the group whose address RCX is, if it is not 0
    const struct host_operand *given; // in a stub: the operand of the instruction
    unsigned island_count;
    u8 *island[SHARE_ISLANDS]; // jumps not used yet, for short ones to lead to; NULL: used
};

// What an iteration adds to a register.
struct motion {
    bool unknown;
    s64 constant;
    u8 by; // a register that keeps its value, SLOT_ZERO: none
};

struct translator {
    struct jit *jit;
    struct emitter e;
    u8 *hot_end; // of the block, writable
    struct jit_block *block;
    unsigned i;                      // the instruction being translated
    u16 live_after[BLOCK_INSNS_MAX]; // F_*: flags that somebody may see after it
    bool live_at_entry;
    const u8 *entry_island;
    struct vector_plan vectors;
    struct page_run run;
    struct shares shares;
    const u8 *after[BLOCK_INSNS_MAX]; // run address behind it
    struct site sites[SITES_MAX];
    unsigned site_count;
};

// Host register of a guest register, HOST_NONE: it is in memory.
static inline unsigned host_of(const struct translator *t, unsigned guest)
{
    return t->run.active ? t->run.map[guest] : home_of(guest);
}

static inline const struct insn *current_insn(const struct translator *t)
{
    return &t->block->insns[t->i];
}

// What must be live in the host's vector registers: all that is below too.
enum vector_level { VECTORS_NONE, VECTORS_SSE, VECTORS_AVX };
// What the instruction needs to be executed by the host itself; NONE: it never is (tr_vector.c).
enum vector_level vector_level(const struct insn *insn);
void vector_plan(struct translator *t);
// In front of the block's entries.
void emit_vector_island(struct translator *t);
bool tr_vector(struct translator *t);
// Of one that has a level: general registers that it writes, as a mask (UINT32_MAX: none for a
// run), and whether it uses no scratch register.
u32 vector_written(const struct insn *insn);
bool vector_spares_scratch(const struct insn *insn);
// What it accesses; false: no memory, or in another way than others do.
bool vector_access(const struct insn *insn, struct access *access);

// Whether the instruction changes or reads flags, and whether they must be exact before it because
// it may leave the block (live_flags.c).
void live_flags(struct translator *t);
// Whether they may be seen at the block's beginning even if memory accesses cannot fail.
bool flags_live_in_run(const struct translator *t);
static inline bool flags_live_after(const struct translator *t, unsigned flags)
{
    return t->live_after[t->i] & flags;
}

static inline bool is_condition_jump(const struct insn *insn)
{
    return insn->op >= OP_JO && insn->op <= OP_JNLE;
}

// General registers that the instruction writes, as a mask; UINT32_MAX: it is not known.
u32 registers_written(const struct insn *insn);
// Of an instruction that writes one register: how it changes that.
struct motion motion_of(const struct insn *insn);

// How many iterations a loop of n >= 2 instructions has at most, if its end tells that they are
// few: it compares what goes up from 0. 0: they may be many.
unsigned few_iterations(const struct insn *insns, unsigned n);
// Repeats the loop that n instructions end with, if it is worth it. Returns how many there are.
unsigned unroll(struct insn insns[BLOCK_INSNS_MAX], unsigned n);

// Whether the instruction's translation leaves the scratch registers alone, its operand apart.
bool spares_scratch(const struct translator *t, const struct insn *insn);

// Whether the block, which jumps back to its beginning, can have a run: fills t->run in.
bool page_run_plan(struct translator *t);
// After the block's instructions: where it is such a loop, its unchecked run. Behind the stubs: its
// other ways out (page_run.c).
void emit_page_run(struct translator *t);
void emit_run_exits(struct translator *t);
// The current instruction's memory operand in such a run.
struct host_operand run_operand(struct translator *t);

// False, with nothing emitted: the interpreter's.
bool translate_insn(struct translator *t);
void add_site(struct translator *t, u8 *jump, enum site_kind kind, u16 offset);
// Jumps to where the interpreter executes the current instruction: nothing may be committed yet.
void emit_jump_slow(struct translator *t);
// In a stub: the interpreter executes the instruction if RCX is not 0, and it goes on behind that.
void emit_interpreted_unless_zero(struct translator *t);
// Has the interpreter execute the current instruction.
void emit_interpreted(struct translator *t);

// Memory (tr_memory.c). Leaves the operand's linear address in a register, r11 or another that is
// not to be changed.
unsigned emit_address(struct translator *t);
// The TLB's check of an access there; r10, RCX are used. The result is the operand's host address.
struct host_operand emit_check(struct translator *t, unsigned address, unsigned size, bool write);
// A slot of cpu->gpr as a base or index: its register, or loaded into scratch.
unsigned use_slot(struct translator *t, unsigned slot, unsigned scratch);
// The same for 8 bytes of the stack, "disp" above RSP or RBP; r11 may be used too.
struct host_operand emit_stack_operand(struct translator *t, u8 base, s32 disp, bool write);
// The same for all bytes from one address to another that is less than TLB_ENTRIES pages behind;
// r10 becomes the host address minus the linear one.
void emit_range_check(struct translator *t, unsigned first, unsigned last, bool write);
// Address and check, for the current instruction's memory operand.
struct host_operand emit_operand(struct translator *t, unsigned size, bool write);
// The parts of a check: RCX becomes 0 if the TLB has the page of "first", and it holds what lies
// "last" bytes above "from" too; r10 becomes its distance. aligned: what lies there is a multiple
// of the access' size.
void emit_lookup_page(struct translator *t, unsigned first, unsigned from, s32 last,
                      const struct access *access);
// For one access: how far "last" is above its address.
static inline s32 last_of(const struct access *access)
{
    return access->aligned ? 0 : (s32)access->size - 1;
}
struct place place_of(const struct insn *insn);
// Its address: in r11, or where it is already.
unsigned emit_place(struct translator *t, const struct place *place);
// Which accesses share a check. The operand of one that does; false: it is checked by itself.
void shares_plan(struct translator *t);
void shares_pass(struct translator *t); // in front of each instruction
bool share_operand(struct translator *t, const struct place *place, const struct access *access,
                   struct host_operand *operand);
void emit_share_stub(struct translator *t, const struct site *site);
// As emit_operand().
struct host_operand emit_access(struct translator *t, const struct access *access);
// LEA's value, without segment, into a register: "to", r11, or where it is already. narrow: in "to"
// it is zero-extended from 32 bits.
unsigned emit_offset(struct translator *t, unsigned to, bool narrow);

// General registers (tr_registers.c). The register that holds it: its own, or scratch, loaded.
unsigned use_reg(struct translator *t, unsigned guest, unsigned scratch);
// An 8-bit register's value is in the low byte of the result.
unsigned use_reg8(struct translator *t, u8 n, unsigned scratch);
// For a width: 0 takes byte numbers.
unsigned use_width(struct translator *t, u8 n, unsigned width, unsigned scratch);
// The register's own host register or its slot in memory. Not for 8-bit ones.
struct host_operand reg_operand(const struct translator *t, unsigned guest);
// Writes scratch to the register by the architecture's rules. A 32-bit value must be zero-extended.
void put_width(struct translator *t, u8 n, unsigned width, unsigned from);
// Whether the register has a host register in which an operation of that width can be done.
bool in_place(const struct translator *t, u8 n, unsigned width);
unsigned host_of_width(const struct translator *t, u8 n, unsigned width);

// One per family: false if it is left to the interpreter, with nothing emitted.
bool tr_alu(struct translator *t);
bool tr_unary(struct translator *t);
bool tr_mov(struct translator *t);
bool tr_movx(struct translator *t);
bool tr_lea(struct translator *t);
bool tr_xchg(struct translator *t);
bool tr_cmpxchg(struct translator *t);
bool tr_xadd(struct translator *t);
bool tr_bswap(struct translator *t);
bool tr_movbe(struct translator *t);
bool tr_cmov(struct translator *t);
bool tr_setcc(struct translator *t);
bool tr_widen(struct translator *t);
bool tr_flag(struct translator *t);
bool tr_shift(struct translator *t);
bool tr_double_shift(struct translator *t);
bool tr_mul(struct translator *t);
bool tr_imul(struct translator *t);
bool tr_div(struct translator *t);
bool tr_bt(struct translator *t);
bool tr_bit_count(struct translator *t);
bool tr_bmi(struct translator *t);
bool tr_push(struct translator *t);
bool tr_pop(struct translator *t);
bool tr_leave(struct translator *t);
bool tr_string(struct translator *t);
bool tr_cli(struct translator *t);
bool tr_sti(struct translator *t);
bool tr_swapgs(struct translator *t);
bool tr_pause(struct translator *t);
// These end the block, or stand in it with a way out (tr_branch.c).
bool tr_jcc(struct translator *t);
bool tr_jmp(struct translator *t);
bool tr_call(struct translator *t);
bool tr_ret(struct translator *t);
// Goes on at a page offset behind the block's last instruction.
void emit_go_on(struct translator *t, unsigned offset);

#endif
