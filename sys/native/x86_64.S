# The native loop of syscall programs, x86-64. What it does, and the layout of the header and of an
# operation, is written in layout.ts; aarch64.S is the same text for the other architecture.
#
#   void run(struct header *)        System V ABI; position independent; uses no stack memory of its own
#                                    but the saved registers, calls nothing, touches no global.
#
# Registers: rbx = header, r12 = current operation, r13 = its flags.

        .intel_syntax noprefix
        .text
        .globl  run

        # header
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

        # operation
        .set    O_NUMBER,       0
        .set    O_FLAGS,        8
        .set    O_ARGS,         16
        .set    O_SAVE,         64
        .set    O_ON_SUCCESS,   72
        .set    O_ON_FAILURE,   80
        .set    O_ERRNOS,       88
        .set    O_SIZE,         96

        # bits of the flags: two per argument (64-bit cell, 32-bit cell), then
        .set    F_MAY_FAIL,     12
        .set    F_NEVER_FAILS,  13
        .set    F_RETRY,        14

        .set    MAX_ERRNO,      4095
        .set    EINTR,          4
        .set    SIG_SETMASK,    2
        .set    LAST_SIGNAL,    64
        .set    RECORD_SIZE,    16
        .set    EXIT_FAILED,    125

        .set    SYS_write,          1
        .set    SYS_rt_sigaction,   13
        .set    SYS_rt_sigprocmask, 14
        .set    SYS_exit_group,     231

        # One argument of the operation into a register: as it is, or what is in the cell it points to.
        .macro  load reg, index
        mov     \reg, [r12 + O_ARGS + 8 * \index]
        bt      r13d, 2 * \index
        jnc     1f
        mov     \reg, [\reg]
1:      bt      r13d, 2 * \index + 1
        jnc     1f
        movsxd  \reg, dword ptr [\reg]
1:
        .endm

run:
        push    rbx
        push    rbp
        push    r12
        push    r13
        push    r14
        push    r15
        mov     rbx, rdi

        # No signal handler may run in the child: block everything until the parent has its pid.
        lea     rsi, [rbx + H_ALL_SIGNALS]
        lea     rdx, [rbx + H_OLD_MASK]
        call    set_mask

        # The parent's operations before the clone: the first failure ends them.
        mov     r12, [rbx + H_FIRST]
before:
        call    perform
        cmp     rax, -MAX_ERRNO
        jae     parent_failed
        cmp     r12, [rbx + H_CLONE]
        je      cloned
        add     r12, O_SIZE
        jmp     before
cloned:
        test    rax, rax
        jz      child
        mov     [rbx + H_PID], rax
        jmp     after
parent_failed:
        mov     [rbx + H_RESULT], rax
        mov     [rbx + H_FAILED], r12

        # The parent's operations after the clone: always, whatever happened before.
after:
        mov     r12, [rbx + H_CLONE]
next_after:
        add     r12, O_SIZE
        cmp     r12, [rbx + H_CHILD]
        jae     done
        call    perform
        cmp     rax, -MAX_ERRNO
        jb      next_after
        mov     [rbx + H_RESULT], rax
        mov     [rbx + H_FAILED], r12
        jmp     next_after
done:
        lea     rsi, [rbx + H_OLD_MASK]
        xor     edx, edx
        call    set_mask
        pop     r15
        pop     r14
        pop     r13
        pop     r12
        pop     rbp
        pop     rbx
        ret

        # Every signal to its default (errors for KILL and STOP do not matter), then no signal blocked.
child:
        mov     ebp, LAST_SIGNAL
reset_signal:
        mov     edi, ebp
        lea     rsi, [rbx + H_NO_SIGNALS]
        xor     edx, edx
        mov     r10d, 8
        mov     eax, SYS_rt_sigaction
        syscall
        dec     ebp
        jnz     reset_signal
        lea     rsi, [rbx + H_NO_SIGNALS]
        xor     edx, edx
        call    set_mask

        mov     r12, [rbx + H_CHILD]
step:
        cmp     r12, [rbx + H_END]
        jae     finished
        call    perform
        mov     rcx, [r12 + O_SAVE]
        test    rcx, rcx
        jz      1f
        mov     [rcx], rax
1:      bt      r13d, F_NEVER_FAILS
        jc      success
        cmp     rax, -MAX_ERRNO
        jae     failure
success:
        mov     rcx, [r12 + O_ON_SUCCESS]
go_on:
        test    rcx, rcx
        jnz     1f
        lea     rcx, [r12 + O_SIZE]
1:      mov     r12, rcx
        jmp     step

        # Allowed to fail: with any error when there is no list, else with those of the list.
failure:
        bt      r13d, F_MAY_FAIL
        jnc     fatal
        mov     rsi, [r12 + O_ERRNOS]
        test    rsi, rsi
        jz      forgiven
next_errno:
        movsxd  rdx, dword ptr [rsi]
        test    rdx, rdx
        jz      fatal
        add     rsi, 4
        cmp     rdx, rax
        jne     next_errno
forgiven:
        mov     rcx, [r12 + O_ON_FAILURE]
        jmp     go_on

        # Tell the parent which operation failed with what, and end.
fatal:
        lea     rsi, [rbx + H_RECORD]
        sub     r12, [rbx + H_FIRST]
        mov     [rsi], r12
        mov     [rsi + 8], rax
        mov     rdi, [rbx + H_STATUS_FD]
        mov     edx, RECORD_SIZE
        mov     eax, SYS_write
        syscall
        mov     edi, EXIT_FAILED
        jmp     exit
finished:
        xor     edi, edi
exit:
        mov     eax, SYS_exit_group
        syscall
        jmp     exit

        # rt_sigprocmask(SIG_SETMASK, rsi, rdx)
set_mask:
        mov     edi, SIG_SETMASK
        mov     r10d, 8
        mov     eax, SYS_rt_sigprocmask
        syscall
        ret

        # The operation at r12: result in rax, flags in r13.
perform:
        mov     r13, [r12 + O_FLAGS]
        load    rdi, 0
        load    rsi, 1
        load    rdx, 2
        load    r10, 3
        load    r8, 4
        load    r9, 5
        mov     rax, [r12 + O_NUMBER]
        test    rax, rax
        js      1f
        syscall
        cmp     rax, -EINTR
        jne     2f
        bt      r13d, F_RETRY
        jc      perform
2:      ret
1:      and     rdi, rsi
        inc     rax
        jnz     1f
        # -1, compute: (a & b) | c
        mov     rax, rdi
        or      rax, rdx
        ret
        # -2, expect: (a & b) == c, or fail with d
1:      xor     eax, eax
        cmp     rdi, rdx
        cmovne  rax, r10
        ret
