# SPDX-License-Identifier: MIT
"""Named mutations of the emulator and the kernel, and the tests that must notice each.

Each: name, file, the text to replace (it must stand there exactly once), what replaces it, detectors. A detector is a
command in the mutated tree; the mutation is caught when one of them fails.
"""
MMU = ["build/tests/unit/test_mmu"]
WATCH_CPU = ["build/tests/isa/test_watch_cpu"]
WATCH = ["build/tests/machine/test_watch", "build/fern", "build/rootfs.img", "1"]
LINUX_TABLES = ["build/tests/debugger/test_linux_tables"]


def ring0(kernel):
    return ["/usr/bin/python3", "tests/ring0/test_ring0.py", "build/viv", f"build/tests/ring0/{kernel}.elf",
            "build/tests/ring0/boot_sector.bin"]


FAULTS = ring0("ring0")
SMP_KERNEL = ["/usr/bin/python3", "tests/ring0/test_smp_kernel.py", "build/viv", "build/tests/ring0/smp.elf"]
SMP = ["build/tests/ring0/test_smp", "build/tests/ring0/smp.elf"]
SMP_TARGET = ["build/tests/ring0/test_smp_target", "build/tests/ring0/smp.elf"]


def guest(*names):
    return ["/usr/bin/python3", "tests/guest/test_guest.py", *names]


def boot(script, *names):
    return ["/usr/bin/python3", f"tests/boot/test_{script}.py", *names]


def recordings(script, *names):
    return ["/usr/bin/python3", f"tests/replay/test_{script}.py", *names]


MUTATIONS = [
    ("the accessed bit is dropped", "emu/mmu/walk.c",
     "u64 mark = leaf && access == ACCESS_WRITE ? PTE_A | PTE_D : PTE_A;",
     "u64 mark = leaf && access == ACCESS_WRITE ? PTE_A | PTE_D : 0;", [MMU]),
    ("a page fault's error code lacks W", "emu/mmu/walk.c",
     "        code |= PF_WRITE;\n", "", [MMU, FAULTS]),
    ("CR2 is not written", "emu/cpu/exception.c",
     "        cpu->cr2 = fault->cr2;\n", "", [FAULTS]),
    ("IF is not cleared by an interrupt gate", "emu/cpu/gate.c",
     "(is_interrupt_gate ? RFLAGS_IF : 0);", "0;", [FAULTS]),
    ("a REP instruction counts one step", "emu/cpu/interp/op_string.c",
     "    if (done > charged + 1) {\n        loop_charge(cpu, insn, done - 1 - charged);\n    }\n", "",
     [["build/tests/isa/test_loop", "60"], ["build/tests/isa/test_run"]]),
    ("a REP's iterations see the clock of the first", "emu/cpu/interp/op_string.c",
     "            charged = done;\n            if (!once", "            if (!once", [WATCH_CPU]),
    ("a watched page's writes are cached", "emu/mmu/tlb.c",
     "o->reads : kind == COLUMN_WRITE;", "o->reads : false;", [WATCH_CPU, WATCH]),
    ("watching drops no write translation", "emu/machine/watch.c",
     "        mmu_drop_page_writes(m->mmu, rpn);\n", "", [WATCH]),
    ("a stop before an instruction keeps its boundary's work", "emu/cpu/interp/loop.c",
     "    if (first) {\n        cpu->shadow", "    if (false) {\n        cpu->shadow", [WATCH_CPU]),
    ("a stop comes after the fetch has set A bits", "emu/cpu/interp/loop.c",
     "if (UNLIKELY(cpu->watch.count) && stopped_before_fetch(cpu, linear)) {",
     "if (false && stopped_before_fetch(cpu, linear)) {", [WATCH_CPU]),
    ("every feature is there", "emu/isa/decode.c",
     "return !(decoder->missing & CPU_FEATURE_BIT(feature));", "return true;", [["build/tests/isa/test_features"]]),
    ("address line 20 always passes", "emu/mmu/tlb.c",
     "u64 mask = passes ? ~UINT64_C(0) : ~BIT(20);", "u64 mask = ~UINT64_C(0);", [MMU, ring0("modes")]),
    ("a task switch leaves the old task busy", "emu/cpu/task.c",
     "(s->how == TASK_CALL || set_busy(cpu, old_descriptor(cpu), false)) &&", "true &&", [ring0("tasks")]),
    ("an interrupt leaves virtual-8086 mode's data segments", "emu/cpu/gate.c",
     "        segment_set_null(&cpu->seg[data[i]], 0);\n", "        ;\n", [ring0("tasks")]),
    ("a string's source cannot be in ES", "emu/isa/decode.c",
     "ZydisRegisterGetId(o->mem.base) != STRING_DESTINATION", "o->mem.segment != ZYDIS_REGISTER_ES",
     [["build/tests/isa/test_segments", "20000"]]),
    ("an unmasked x87 underflow is as a masked one", "emu/cpu/interp/x87_host.c",
     "const u16 kept = 0x0F00 | X87_OE | X87_UE;", "const u16 kept = 0x0F00;", [["build/tests/isa/test_x87", "4000"]]),
    ("RDRAND's stream is no state", "emu/cpu/cpu.c",
     "    F(random_state),\n", "", [["build/tests/isa/test_system"]]),
    ("BT clears flags that it keeps", "emu/cpu/interp/op_bit.c",
     "    flags_update(cpu, FLAGS_C, carry ? FLAGS_C : 0);", "    cpu->flags = FLAGS_ONE | (carry ? FLAGS_C : 0);",
     [["build/tests/isa/test_oracle", "20", "1", "0", "bt"]]),
    ("stores to page tables drop no translation", "emu/mmu/track.c",
     "        drop_scope(shared, track, track->prefix + ((u64)index << shift), shift);\n", "",
     [["build/tests/unit/test_mmu_tlb"], ["build/tests/isa/test_loop", "60"]]),
    ("a table that became data keeps its translations", "emu/mmu/track.c",
     "        drop_scope(shared, track, track->prefix, entry_shift(track) + index_bits(track));\n", "",
     [["build/tests/unit/test_mmu_tlb"], ["build/tests/isa/test_loop", "60"]]),
    ("copy-on-write gives an empty page", "guest/kernel/mm/fault.c",
     "        copy_page(page_address(copy), page_address(old));\n", "        ;\n",
     [guest("mmap_shared_fork", "mm_cow")]),
    ("vruntime is not weighted", "guest/kernel/sched/fair.c",
     "    se->vruntime += scale(delta, se);", "    se->vruntime += delta;",
     [["build/tests/kernel_host/test_sched"], guest("nice_shares")]),
    ("SA_RESTART restarts nothing", "guest/kernel/signal/deliver.c",
     "if (!(k->action.flags & SA_RESTART)) {", "if (true) {", [guest("sa_restart")]),
    ("fsync does not flush the disk", "guest/kernel/fs/fs_writeback.c",
     "        late = blkdev_issue_flush(sb->s_bdev);\n", "        late = 0;\n",
     [["/usr/bin/python3", "tests/boot/test_power_cuts.py"]]),
    ("poll keeps the memory of its waiters", "guest/kernel/fs/select.c",
     "        kfree(c);\n", "",
     [["/usr/bin/python3", "tests/failnth/test_fail_nth.py", "ext2"]]),
    ("a pipe's end of file is EAGAIN", "guest/kernel/fs/pipe.c",
     "if (n || error || !p->writers || (f->f_flags & O_NONBLOCK)) {\n            if (!n && !error && p->writers) {",
     "if (n || error || !p->writers || (f->f_flags & O_NONBLOCK)) {\n            if (!n && !error) {",
     [guest("pipe_basic")]),
    ("gdb's packets need no checksum", "emu/gdbstub/packet.c",
     "if (low < 0 || (p->wanted_sum | low) != p->sum) {", "if (low < 0) {", [["build/tests/gdbstub/test_gdb_packet"]]),
    ("gdb's breakpoints outlive it", "emu/gdbstub/server.c",
     "    gdb_points_clear(s);\n", "", [["build/tests/gdbstub/test_gdb_server"]]),
    ("gdb sees a sleeping task with the CPU's registers", "emu/gdbstub/threads.c",
     "    if (!thread->runs) {\n", "    if (!thread->runs && !thread->tid) {\n", [["build/tests/gdbstub/test_gdb_server"]]),
    ("an idle wait cut short by a key is replayed to its deadline", "emu/replay/input_log.c",
     "        log->next++;\n        return r->vtime_ns;\n", "        log->next++;\n        return deadline_ns;\n",
     [recordings("record", "typed")]),
    ("a port is told of input again at other places", "emu/replay/input_log.c",
     "    return r->kind == kind && r->step == log->clock->step && r->vtime_ns == now_ns ? r : NULL;\n",
     "    return r->kind == kind ? r : NULL;\n", [recordings("record", "typed", "piped")]),
    ("a recording is written when it ends", "emu/replay/recorder.c",
     "    if (now_ns - r->flushed_host_ns >= after_ns) {\n", "    if (now_ns - r->flushed_host_ns >= after_ns << 40) {\n",
     [recordings("record", "kill")]),
    ("chunks are believed without their checksum", "emu/replay/log_reader.c",
     "} else if (chunk_crc(c, out->data) != c->crc32c) {", "} else if (chunk_crc(c, out->data) == 0) {",
     [recordings("files", "flipped")]),
    ("a replay does not compare hashes", "emu/replay/player.c",
     "    if (found != recorded) {\n", "    if (found == 0) {\n", [recordings("files", "not_the_machine")]),
    ("a changed image is used", "emu/frontends/session_replay.c",
     "    if (memcmp(found, image->sha256, RECORDING_SHA256_BYTES) == 0) {\n", "    if (true) {\n",
     [recordings("files", "wrong_images")]),
    ("a recorded run writes its disk", "emu/frontends/session_plan.c",
     "    bool written = d->mode == POSIX_BLOCK_WRITE && !o->log_inputs;\n", "    bool written = d->mode == POSIX_BLOCK_WRITE;\n",
     [recordings("record", "write_disk")]),
    ("a gather keeps its mask", "emu/cpu/interp/op_avx_memory.c",
     "        memset(mask + i * g.size, 0, g.size);\n", "", [["build/tests/isa/test_avx"]]),
    ("128-bit AVX moves keep the upper half", "emu/cpu/interp/op_avx.c",
     "    if (!key.length) {\n        memset(cpu->fpu.vec[to] + 16, 0, 16);\n    }\n", "", [["build/tests/isa/test_vector", "1"]]),
    ("a masked store does not look ahead", "emu/cpu/interp/op_avx_memory.c",
     "size, true, &linear[i]) ||\n             !operand_probe_write(cpu, insn, linear[i], size))", "size, true, &linear[i]))",
     [["build/tests/isa/test_avx"]]),
    ("XSAVEC saves what is not in use", "emu/cpu/interp/op_xsave.c",
     ".components = optimised || compacted ? in_use : rfbm,", ".components = optimised ? in_use : rfbm,",
     [["build/tests/isa/test_xsave", "200"]]),
    ("unmasked underflow wants inexactness", "emu/cpu/interp/op_vector.c",
     "            return MXCSR_UE;", "            return 0;", [["build/tests/isa/test_vector", "1"]]),
    ("fork leaves the vector registers behind", "guest/kernel/sched/task.c",
     "    fpu_copy(t, orig);\n", "", [guest("avx_state")]),
    ("ORC takes the word above the return address", "emu/debugger/orc.c",
     ": load(read, ctx, end - 8, &up.rip);", ": load(read, ctx, end, &up.rip);", [LINUX_TABLES]),
    ("kallsyms offsets are one off", "emu/debugger/kallsyms.c",
     "base - 1 - (u64)(s64)offset", "base - (u64)(s64)offset", [LINUX_TABLES]),
    ("BTF forgets where an anonymous member begins", "emu/debugger/btf.c",
     "out->offset_bits + (has_fields ? offset & 0xFFFFFF : offset),", "(has_fields ? offset & 0xFFFFFF : offset),",
     [LINUX_TABLES]),
    ("a watcher hears of another's ranges", "emu/machine/watch.c",
     "(all->watcher_count == 1 || concerns(w, hit)) && w->fn", "(all->watcher_count || concerns(w, hit)) && w->fn", [WATCH]),
    ("a restore forgets whose turn it is", "emu/machine/snapshot.c",
     "(struct schedule){(u32)time->current, time->quantum_left};", "(struct schedule){0, time->quantum_left};", [SMP]),
    ("a halted CPU's turn ends twice", "emu/machine/run_loop.c",
     "|| exit == CPU_EXIT_YIELD) {", "|| exit == CPU_EXIT_YIELD || exit == CPU_EXIT_HALTED) {",
     [["build/tests/machine/test_random_guest", "300"]]),
    ("everybody hears every message", "emu/devices/intc/lapic_message.c",
     "return destination == 0xFF || destination == c->index;", "return true;", [SMP_KERNEL]),
    ("a started CPU begins at 0", "emu/cpu/interrupt.c",
     "    cpu->seg[CPU_CS].base = (u64)cpu->sipi_vector << 12;\n", "    cpu->seg[CPU_CS].base = 0;\n", [SMP_KERNEL]),
    ("another CPU's APIC page is cached", "emu/mmu/mmu_internal.h",
     "shared->cpus[i]->apic_page == (gpa & ~PAGE_MASK)) {\n            return false;",
     "shared->cpus[i]->apic_page == (gpa & ~PAGE_MASK)) {\n            break;", [["build/tests/unit/test_mmu_tlb"], SMP_KERNEL]),
    ("a CPU's step is two", "emu/machine/run_loop.c",
     "single && budget > 1 ? 1 : budget;", "single && budget > 2 ? 2 : budget;", [SMP_TARGET]),
    ("a condition is judged from another CPU", "emu/debugger/engine.c",
     "    t->cpu = cpu;\n    return before;", "    return before;", [SMP_TARGET]),
    ("the other CPUs' TLBs keep what was taken away", "guest/kernel/arch/x86_64/tlb.c",
     "    if (others)\n", "    if (others && !mm)\n", [boot("qemu", "work")]),
    ("a task goes on where its affinity forbids it", "guest/kernel/sched/balance.c",
     "    return !may_run_on(t, (unsigned)(rq - runqueues));", "    return false && !may_run_on(t, (unsigned)(rq - runqueues));",
     [boot("smp", "same")]),
    ("spinlocks have no order among themselves", "guest/kernel/sched/lock_debug.c",
     "        if (class_leads_to(cls, outer))\n", "        if (false && class_leads_to(cls, outer))\n", [boot("smp", "check")]),
]
