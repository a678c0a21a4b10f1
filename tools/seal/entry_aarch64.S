// Entry point of a sealed executable, arm64. tools/seal/layout.ts describes what it does and the
// parameters behind it; tools/seal/assemble.ts turns this file into entry_aarch64.ts.
//
// Position-independent, no relocations, no stack protector, no library: it runs between the dynamic
// linker and the program's own entry point. Every register is free but x0 (handed on) and sp.

    .set SYS_mount, 40
    .set SYS_faccessat, 48
    .set SYS_write, 64
    .set SYS_exit_group, 94
    .set SYS_getpid, 172
    .set SYS_madvise, 233
    .set SYS_memfd_create, 279

    .set AT_FDCWD, -100
    .set MFD_CLOEXEC, 1
    .set MADV_DONTNEED, 4
    .set PROC_FLAGS, 14             // MS_NOSUID | MS_NODEV | MS_NOEXEC

    .set P_SELF, 0                  // parameters: see layout.ts
    .set P_ENTRY, 8
    .set P_ENVIRON, 16
    .set P_SCRIPT, 24
    .set P_SCRIPT_LENGTH, 32
    .set P_ARGS, 40
    .set P_ARG_COUNT, 48
    .set P_ADD, 56
    .set P_ADD_COUNT, 64
    .set P_DROP, 72
    .set P_DROP_COUNT, 80
    .set P_SPENT, 88
    .set P_SPENT_LENGTH, 96

    .text
    .globl _start
_start:
    mov x28, x0                     // the dynamic linker's clean-up function, for the real entry point
    mov x19, sp                     // argc, argv, NULL, envp, NULL, auxv
    adr x20, params
    ldr x0, [x19]
    cbz x0, fail                    // no argv[0]: nothing says which role this is

// As process 1 of a bare guest: /proc, which the runtime cannot do without.
    mov x8, SYS_getpid
    svc 0
    cmp x0, 1
    b.ne script
    mov x0, AT_FDCWD
    adr x1, proc_stat
    mov x2, 0
    mov x8, SYS_faccessat
    svc 0
    cbz x0, script
    adr x0, proc_type
    adr x1, proc_path
    mov x2, x0
    mov x3, PROC_FLAGS
    mov x4, 0
    mov x8, SYS_mount
    svc 0                           // a failure shows soon enough, and in the runtime's words

// The script goes into a file without a name; the runtime opens it as /proc/self/fd/N.
script:
    adr x0, memory_name
    mov x1, MFD_CLOEXEC
    mov x8, SYS_memfd_create
    svc 0
    tbnz x0, 63, fail
    mov x21, x0
    ldr x22, [x20, P_SCRIPT]
    add x22, x22, x20
    ldr x23, [x20, P_SCRIPT_LENGTH]
1:  mov x0, x21
    mov x1, x22
    mov x2, x23
    mov x8, SYS_write
    svc 0
    cmp x0, 0
    b.le fail
    add x22, x22, x0
    subs x23, x23, x0
    b.ne 1b

// Its path: the number's digits from the right, then the fixed part before them.
    sub sp, sp, 48
    add x22, sp, 47
    strb wzr, [x22]
    mov x1, 10
2:  udiv x2, x21, x1
    msub x3, x2, x1, x21
    add w3, w3, 48
    strb w3, [x22, -1]!
    mov x21, x2
    cbnz x21, 2b
    adr x1, fd_path + FD_PATH_LENGTH
    mov x2, FD_PATH_LENGTH
3:  ldrb w3, [x1, -1]!
    strb w3, [x22, -1]!
    subs x2, x2, 1
    b.ne 3b

// Room for a new argument vector, environment and auxiliary vector, in the order the kernel lays them.
    ldr x0, [x19]
    add x23, x19, x0, lsl 3
    add x23, x23, 16                // old environment
    mov x1, x23
4:  ldr x0, [x1], 8
    cbnz x0, 4b
    mov x24, x1                     // old auxiliary vector
5:  ldr x0, [x1], 16
    cbnz x0, 5b
    sub x1, x1, x19                 // bytes in all
    ldr x25, [x20, P_ARG_COUNT]
    ldr x26, [x20, P_ADD_COUNT]
    add x2, x25, x26
    add x1, x1, x2, lsl 3
    add x1, x1, 8                   // + one word for the script's path
    mov x2, sp
    sub x2, x2, x1
    and x2, x2, -16
    mov sp, x2
    mov x3, sp                      // x3: where the next word goes

// argc; argv[0]; the runtime's arguments; the script; the caller's arguments
    ldr x0, [x19]
    add x0, x0, x25
    add x0, x0, 1
    ldr x1, [x19, 8]
    stp x0, x1, [x3], 16
    ldr x1, [x20, P_ARGS]
    mov x2, x25
    bl strings
    str x22, [x3], 8
    add x1, x19, 16
6:  ldr x0, [x1], 8
    str x0, [x3], 8
    cbnz x0, 6b

// environment: the runtime's settings, then the caller's without what would change the runtime
    mov x27, x3
    ldr x1, [x20, P_ADD]
    mov x2, x26
    bl strings
7:  ldr x0, [x23], 8
    cbz x0, 12f
    ldr x1, [x20, P_DROP]
    add x1, x1, x20
    ldr x2, [x20, P_DROP_COUNT]
8:  cbz x2, 11f
    mov x4, x0                      // does the string start with this prefix?
9:  ldrb w5, [x1], 1
    cbz w5, 7b                      // the prefix ended first: leave the string out
    ldrb w6, [x4], 1
    cmp w5, w6
    b.eq 9b
10: ldrb w5, [x1], 1                // on to the next prefix
    cbnz w5, 10b
    sub x2, x2, 1
    b 8b
11: str x0, [x3], 8
    b 7b
12: str xzr, [x3], 8

// auxiliary vector, unchanged
13: ldp x0, x1, [x24], 16
    stp x0, x1, [x3], 16
    cbnz x0, 13b

// The C library took the old environment's address before this ran: tell it the new one.
    ldr x0, [x20, P_SELF]
    sub x1, x20, x0                 // where the program was loaded
    ldr x0, [x20, P_ENVIRON]
    ldr x0, [x1, x0]
    str x27, [x0]

// The tables that the dynamic linker has worked through need no memory any more.
    mov x22, x1
    ldr x0, [x20, P_SPENT]
    add x0, x0, x1
    ldr x1, [x20, P_SPENT_LENGTH]
    mov x2, MADV_DONTNEED
    mov x8, SYS_madvise
    svc 0                           // if not, they stay

    ldr x2, [x20, P_ENTRY]
    add x16, x22, x2
    mov x0, x28
    mov x29, 0
    mov x30, 0
    br x16

// x1: offset of x2 strings, each with its NUL. Their addresses are stored at x3.
strings:
    add x1, x1, x20
14: cbz x2, 16f
    str x1, [x3], 8
15: ldrb w0, [x1], 1
    cbnz w0, 15b
    sub x2, x2, 1
    b 14b
16: ret

fail:
    mov x0, 2
    adr x1, message
    mov x2, MESSAGE_LENGTH
    mov x8, SYS_write
    svc 0
    mov x0, 127
    mov x8, SYS_exit_group
    svc 0

proc_type:   .asciz "proc"
proc_path:   .asciz "/proc"
proc_stat:   .asciz "/proc/self/stat"
memory_name: .asciz "kata"
fd_path:     .ascii "/proc/self/fd/"
    .set FD_PATH_LENGTH, . - fd_path
message:     .ascii "kata: cannot start: no memory file for the program\n"
    .set MESSAGE_LENGTH, . - message
    .balign 16, 0
params:
