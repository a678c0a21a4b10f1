// The native loop of syscall programs, arm64. What it does, and the layout of the header and of an
// operation, is written in layout.ts; x86_64.S is the same text for the other architecture.
//
//   void run(struct header *)        AAPCS64; position independent; uses no stack memory of its own
//                                    but the saved registers, calls nothing, touches no global.
//
// Registers: x19 = header, x20 = current operation, x21 = its flags.

        .text
        .globl  run

        // header
        .set    H_STATUS_FD,    0
        .set    H_FIRST,        8
        .set    H_CLONE,        16
        .set    H_CHILD,        24
        .set    H_END,          32
        .set    H_PID,          40
        .set    H_FAILED,       48
        .set    H_RESULT,       56
        .set    H_OLD_MASK,     64
        .set    H_ALL_SIGNALS,  72
        .set    H_NO_SIGNALS,   80
        .set    H_RECORD,       112

        // operation
        .set    O_NUMBER,       0
        .set    O_FLAGS,        8
        .set    O_ARGS,         16
        .set    O_SAVE,         64
        .set    O_ON_SUCCESS,   72
        .set    O_ON_FAILURE,   80
        .set    O_ERRNOS,       88
        .set    O_SIZE,         96

        // bits of the flags: two per argument (64-bit cell, 32-bit cell), then
        .set    F_MAY_FAIL,     12
        .set    F_NEVER_FAILS,  13
        .set    F_RETRY,        14

        .set    MAX_ERRNO,      4095
        .set    EINTR,          4
        .set    SIG_SETMASK,    2
        .set    LAST_SIGNAL,    64
        .set    RECORD_SIZE,    16
        .set    EXIT_FAILED,    125

        .set    SYS_write,          64
        .set    SYS_exit_group,     94
        .set    SYS_rt_sigaction,   134
        .set    SYS_rt_sigprocmask, 135

        // One argument of the operation into a register: as it is, or what is in the cell it points to.
        .macro  load index
        ldr     x\index, [x20, #(O_ARGS + 8 * \index)]
        tbz     x21, #(2 * \index), 1f
        ldr     x\index, [x\index]
1:      tbz     x21, #(2 * \index + 1), 1f
        ldrsw   x\index, [x\index]
1:
        .endm

run:
        stp     x29, x30, [sp, #-48]!
        mov     x29, sp
        stp     x19, x20, [sp, #16]
        stp     x21, x22, [sp, #32]
        mov     x19, x0

        // No signal handler may run in the child: block everything until the parent has its pid.
        add     x1, x19, #H_ALL_SIGNALS
        add     x2, x19, #H_OLD_MASK
        bl      set_mask

        // The parent's operations before the clone: the first failure ends them.
        ldr     x20, [x19, #H_FIRST]
before:
        bl      perform
        cmn     x0, #MAX_ERRNO
        b.hs    parent_failed
        ldr     x9, [x19, #H_CLONE]
        cmp     x20, x9
        b.eq    cloned
        add     x20, x20, #O_SIZE
        b       before
cloned:
        cbz     x0, child
        str     x0, [x19, #H_PID]
        b       after
parent_failed:
        str     x0, [x19, #H_RESULT]
        str     x20, [x19, #H_FAILED]

        // The parent's operations after the clone: always, whatever happened before.
after:
        ldr     x20, [x19, #H_CLONE]
next_after:
        add     x20, x20, #O_SIZE
        ldr     x9, [x19, #H_CHILD]
        cmp     x20, x9
        b.hs    done
        bl      perform
        cmn     x0, #MAX_ERRNO
        b.lo    next_after
        str     x0, [x19, #H_RESULT]
        str     x20, [x19, #H_FAILED]
        b       next_after
done:
        add     x1, x19, #H_OLD_MASK
        mov     x2, #0
        bl      set_mask
        ldp     x19, x20, [sp, #16]
        ldp     x21, x22, [sp, #32]
        ldp     x29, x30, [sp], #48
        ret

        // Every signal to its default (errors for KILL and STOP do not matter), then no signal blocked.
child:
        mov     x22, #LAST_SIGNAL
reset_signal:
        mov     x0, x22
        add     x1, x19, #H_NO_SIGNALS
        mov     x2, #0
        mov     x3, #8
        mov     x8, #SYS_rt_sigaction
        svc     #0
        subs    x22, x22, #1
        b.ne    reset_signal
        add     x1, x19, #H_NO_SIGNALS
        mov     x2, #0
        bl      set_mask

        ldr     x20, [x19, #H_CHILD]
step:
        ldr     x9, [x19, #H_END]
        cmp     x20, x9
        b.hs    finished
        bl      perform
        ldr     x9, [x20, #O_SAVE]
        cbz     x9, 1f
        str     x0, [x9]
1:      tbnz    x21, #F_NEVER_FAILS, success
        cmn     x0, #MAX_ERRNO
        b.hs    failure
success:
        ldr     x9, [x20, #O_ON_SUCCESS]
go_on:
        add     x20, x20, #O_SIZE
        cmp     x9, #0
        csel    x20, x20, x9, eq
        b       step

        // Allowed to fail: with any error when there is no list, else with those of the list.
failure:
        tbz     x21, #F_MAY_FAIL, fatal
        ldr     x10, [x20, #O_ERRNOS]
        cbz     x10, forgiven
next_errno:
        ldrsw   x11, [x10], #4
        cbz     x11, fatal
        cmp     x11, x0
        b.ne    next_errno
forgiven:
        ldr     x9, [x20, #O_ON_FAILURE]
        b       go_on

        // Tell the parent which operation failed with what, and end.
fatal:
        ldr     x9, [x19, #H_FIRST]
        sub     x9, x20, x9
        add     x1, x19, #H_RECORD
        stp     x9, x0, [x1]
        ldr     x0, [x19, #H_STATUS_FD]
        mov     x2, #RECORD_SIZE
        mov     x8, #SYS_write
        svc     #0
        mov     x0, #EXIT_FAILED
        b       exit
finished:
        mov     x0, #0
exit:
        mov     x8, #SYS_exit_group
        svc     #0
        b       exit

        // rt_sigprocmask(SIG_SETMASK, x1, x2)
set_mask:
        mov     x0, #SIG_SETMASK
        mov     x3, #8
        mov     x8, #SYS_rt_sigprocmask
        svc     #0
        ret

        // The operation at x20: result in x0, flags in x21.
perform:
        ldr     x21, [x20, #O_FLAGS]
        load    0
        load    1
        load    2
        load    3
        load    4
        load    5
        ldr     x8, [x20, #O_NUMBER]
        tbnz    x8, #63, 1f
        svc     #0
        cmn     x0, #EINTR
        b.ne    2f
        tbnz    x21, #F_RETRY, perform
2:      ret
1:      and     x0, x0, x1
        adds    x8, x8, #1
        b.ne    1f
        // -1, compute: (a & b) | c
        orr     x0, x0, x2
        ret
        // -2, expect: (a & b) == c, or fail with d
1:      cmp     x0, x2
        csel    x0, xzr, x3, eq
        ret
