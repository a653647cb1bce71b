# SPDX-License-Identifier: MIT
"""Runs inside gdb (test_gdb.py starts it): one scenario against viv. Raises on what is wrong."""
import os
import sys
import traceback

import gdb

STEPS = 1000


def do(command):
    """Executes a command; returns what it says. What a stop says goes past Python: see told()."""
    print(f"(gdb) {command}", flush=True)
    text = gdb.execute(command, to_string=True)
    print(text, flush=True)
    return text


def told(text, absent=False):
    """test_gdb.py looks for this text behind the last command."""
    print(f"{'absent' if absent else 'wanted'}: {text}", flush=True)


def expect(condition, what):
    if not condition:
        raise RuntimeError(what)


def number(expression):
    return int(gdb.parse_and_eval(expression))


def unsigned(register):
    return number(f"${register}") & (1 << 64) - 1


def function():
    return gdb.selected_frame().name()


def state():
    registers = ("rip", "rsp", "rax", "rbp", "eflags", "cr3", "cpl")
    return tuple(unsigned(name) for name in registers) + tuple(unsigned(f"r{n}") for n in range(8, 16))


def step_number():
    return number("$step")


def to_compete():
    """Returns the step of the last breakpoint on the way."""
    where = None
    do("tbreak compete")
    while function() != "compete":
        where = step_number()
        do("continue")
        expect(where != step_number(), "compete is not reached")
    return where


def scenario_kernel():
    """Symbols, source lines, a breakpoint in the kernel function behind execve, forwards and back."""
    do("break sys_execve")
    do("continue")
    expect(function() == "sys_execve", "not in sys_execve")
    expect(gdb.selected_frame().find_sal().symtab.filename.endswith("proc/exec.c") and line() > 0, "no source line")
    expect("syscall_dispatch" in do("backtrace"), "no backtrace")
    expect(number("$cpl") == 0, "not in ring 0")
    expect("0x" in do("info registers cr3 efer lstar"), "no system registers")
    expect("LME LMA NXE" in do("info registers efer"), "efer without flags")
    where = to_compete()
    expect(number("$cpl") == 3, "compete is not in ring 3")
    expect("main ()" in do("backtrace"), "no user backtrace")
    later = step_number()
    do("reverse-continue")
    expect(function() == "sys_execve" and step_number() == where, "not back in sys_execve")
    here = state()
    do("stepi")
    do("reverse-stepi")
    expect(state() == here, "reverse-stepi does not undo stepi")
    do("next")
    expect(function() == "sys_execve" and step_number() > where, "next")
    do("delete")
    do(f"break compete if $step == {later}")
    do("continue")
    expect(step_number() == later, "$step in a condition")
    do("delete")
    do("reverse-continue")
    told("No more reverse-execution history")
    expect(step_number() == 0, "history does not begin at 0")


def scenario_thousand():
    """reverse-stepi a thousand times across ring crossings, an interrupt and a context switch."""
    to_compete()
    do("break switch_stacks")
    switches = 0
    while switches < 2:  # by the tick; at the first one the child's pages are not all mapped
        do("continue")
        switches += "spin" in do("backtrace")
    do("delete")
    while number("$cpl") == 0:
        gdb.execute("reverse-stepi", to_string=True)
    for _ in range(15):
        gdb.execute("reverse-stepi", to_string=True)
    first = step_number()
    seen, crossings, beyond = [state()], 0, 0
    while len(seen) <= STEPS or beyond < 50:
        gdb.execute("stepi", to_string=True)
        seen.append(state())
        crossings += seen[-1][6] != seen[-2][6]
        beyond += crossings > 1
        expect(len(seen) < 10 * STEPS, "the interrupt does not return")
    expect(step_number() == first + len(seen) - 1, "a stepi is not one step")
    print(f"{len(seen)} states, {crossings} ring crossings")
    stacks = {s[1] >> 14 for s in seen if s[6] == 0}
    expect(seen[0][6] == 3 and len({s[5] for s in seen}) >= 2 and len(stacks) >= 2, "no context switch")
    for back, wanted in enumerate(reversed(seen[:-1]), 1):
        gdb.execute("reverse-stepi", to_string=True)
        now = state()
        expect(now == wanted, f"{back} steps back: {now}, forward it was {wanted}")
    expect(step_number() == first, "not where it began")
    do(f"stepi {STEPS}")
    told("another task runs now: prog")
    expect(step_number() == first + STEPS and state() == seen[STEPS], f"stepi {STEPS}")
    expect("where now prog (user) runs" in do("info threads"), "the other task is not shown")
    do(f"reverse-stepi {STEPS}")
    expect(step_number() == first and state() == seen[0], f"reverse-stepi {STEPS}")


def scenario_watch():
    """Backwards to the writer of a byte on a user stack."""
    to_compete()
    do("up")
    address = number("(unsigned long)&bytes[5]")
    expect(number("bytes[5]") == 6, "the byte is not 6")
    do(f"watch *(char *){address}")
    do("reverse-continue")
    expect(function() == "fill" and number("i") == 5 and number("$cpl") == 3, "not at the writer")
    expect(number(f"*(char *){address}") != 6, "not before the write")
    do("stepi")
    expect(number(f"*(char *){address}") == 6, "the next instruction does not write it")
    do("reverse-stepi")
    do("delete")
    do(f"watch *(char *){address}")
    do("continue")
    expect(function() == "fill" and number(f"*(char *){address}") == 6, "forwards it is not found")
    do("delete")
    expect("by the CPU at 0x" in do(f"monitor who-wrote {address}"), "who-wrote")


def line():
    return gdb.selected_frame().find_sal().line


def scenario_lines():
    """Source lines forwards and back, over a page fault and into functions."""
    do("tbreak touch")
    do("continue")
    begin = line()
    do("next")
    before = step_number()
    while line() < begin + 3:
        do("next")
        expect(function() == "touch" and number("$cpl") == 3, "next leaves the function")
    expect(step_number() - before > 100, "there was no fault")
    do("monitor steps task")
    do("reverse-next")
    expect(function() == "touch" and line() < begin + 3, "reverse-next")
    do("monitor steps machine")
    do("finish")
    expect(function() == "main" and number("$rax") == 8, "finish")
    do("reverse-step")
    expect(function() == "touch", "reverse-step does not go into touch")
    do("reverse-finish")
    expect(function() == "main", "reverse-finish")
    do("step")
    expect(function() == "touch", "step does not go into touch")
    do("tbreak sys_openat")
    do("reverse-continue")
    do("step")
    expect(function() == "do_sys_open", "step in the kernel")
    do("finish")
    expect(number("$cpl") == 0 and function() in ("sys_openat", "syscall_dispatch"), "finish in the kernel")


def scenario_calls():
    """A breakpoint whose page is not mapped yet; calls of the program's functions; what they wrote."""
    do("tbreak *_start")
    do("continue")
    expect(function() == "_start" and number("$cpl") == 3, "the first instruction is not caught")
    to_compete()
    do("up")
    expect(number("touch(30)") == 31, "the call gives something else")
    told("a branch begins here", absent=True)
    expect(number("bytes[5]") == 6 and number("pages[4096 + 30]") == 1, "after the call")


def scenario_syscalls():
    """catch syscall by name; the same while going back."""
    do("tbreak main")
    do("continue")
    do("catch syscall openat")
    do("continue")
    told("call to syscall openat")
    entered = step_number()
    expect(number("$orig_rax") == 257 and number("$rax") == 257, "not openat's number")
    do("continue")
    told("returned from syscall openat")
    expect(number("$rax") == 3, "openat does not give 3")
    do("reverse-continue")
    told("syscall openat")
    expect(step_number() == entered, "not where it was entered")
    do("delete")


def scenario_faults():
    """A fault that is caught shows as SIGSEGV with its address."""
    do("tbreak touch")
    do("continue")
    address = number("(unsigned long)&pages[4096 + 7]")
    do("monitor catch fault")
    do("continue")
    told("SIGSEGV")
    expect(number("(unsigned long)$_siginfo._sifields._sigfault.si_addr") == address, "si_addr")
    expect(unsigned("cr2") == address and number("$_siginfo.si_signo") == 11, "cr2")
    do("monitor delete")
    do("tbreak _Exit")
    do("continue")
    told("signals", absent=True)
    expect(function() == "_Exit", "not going on behind the fault")


def scenario_threads():
    """fern's tasks as threads, each with its stack and its memory."""
    to_compete()
    do("break switch_stacks")
    while "spin" not in do("backtrace"):
        do("continue")
    do("delete")
    text = do("info threads")
    for name in ("init", "kthreadd", "prog", "kswapd0"):
        expect(f"({name} (" in text, f"no thread {name}")
    threads = gdb.selected_inferior().threads()
    for thread in threads:
        thread.switch()
        expect(gdb.selected_frame().name() is not None, f"thread {thread.ptid} has no frame")
    sleeping = next(t for t in threads if "kthreadd" in (t.details or t.name or do("info threads")))
    sleeping.switch()
    do("backtrace")


def scenario_monitor():
    """The debugger's own commands; gdb's view follows a seek."""
    expect("who-wrote" in do("monitor help"), "no help")
    expect("no command" in do("monitor nonsense"), "nonsense is accepted")
    to_compete()
    where = step_number()
    do(f"source {os.environ['VIV_GDB_HOOKS']}")
    do(f"monitor seek {where - 100}")
    expect(step_number() == where - 100, "the seek is not seen")
    do("stepi")
    expect(step_number() == where - 99, "not going on from there")
    expect("interrupt" in do("monitor transitions"), "no transitions")
    do("monitor seek 1000")  # before there are tasks
    expect(step_number() == 1000 and number("$cpl") == 0, "not before there are tasks")
    to_compete()


def scenario_end():
    """The guest's end is the end of history first; one may go back from it."""
    do("continue")
    told("viv: the guest ended with status 0")
    told("No more reverse-execution history")
    last = step_number()
    do("reverse-stepi")
    expect(step_number() == last - 1, "not back from the end")
    do("continue")
    do("continue")
    told("exited")


def scenario_run_again():
    """run begins again."""
    to_compete()
    where = step_number()
    do("tbreak sys_execve")
    do("run")
    expect(function() == "sys_execve" and step_number() < where, "run does not begin again")


def scenario_branch():
    """A write in the past makes another future, says so once, and decides how the program ends."""
    to_compete()
    do("up")
    do("reverse-stepi")
    do("frame function main")
    do("set var bytes[5] = 9")
    do("set var bytes[6] = 9")
    do("stepi")
    told("a branch begins here")
    do("stepi")
    told("branch", absent=True)
    expect(number("$cpl") == 3, "ring")
    do("set var $rcx = 77")
    expect(number("$rcx") == 77, "a register does not take its value")
    do("set var $ymm9.v8_int32[1] = 1234")
    do("set var $ymm9.v8_int32[6] = 5678")
    do("flushregs")
    ymm9 = [number(f"$ymm9.v8_int32[{i}]") for i in range(8)]
    expect(ymm9[1] == 1234 and ymm9[6] == 5678 and number("$xmm9.v4_int32[1]") == 1234, f"ymm9 is {ymm9}")
    do("stepi")
    expect([number(f"$ymm9.v8_int32[{i}]") for i in range(8)] == ymm9, "ymm9 after a step")


def scenario_detach():
    to_compete()


def main():
    for setting in ("pagination off", "confirm off", "height 0", "width 0"):
        gdb.execute(f"set {setting}")
    try:
        do(f"target extended-remote {os.environ['VIV_GDB_SOCKET']}")
        do(f"add-symbol-file {os.environ['VIV_GDB_PROGRAM']}")
        globals()["scenario_" + os.environ["VIV_GDB_SCENARIO"]]()
        if gdb.selected_thread():
            do("detach")
        print("scenario done", flush=True)
    except (Exception, KeyboardInterrupt):
        traceback.print_exc()
        sys.stderr.flush()
        gdb.execute("kill")


main()
