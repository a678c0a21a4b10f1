// Entry point of a sealed executable, x86-64. tools/seal/layout.ts describes what it does and the
// parameters behind it; tools/seal/assemble.ts turns this file into entry_x86_64.ts.
//
// Position-independent, no relocations, no stack protector, no library: it runs between the dynamic
// linker and the program's own entry point. Every register is free but rdx (handed on) and rsp.

    .set SYS_write, 1
    .set SYS_madvise, 28
    .set SYS_getpid, 39
    .set SYS_mount, 165
    .set SYS_exit_group, 231
    .set SYS_faccessat, 269
    .set SYS_memfd_create, 319

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
    mov %rdx, %r15                  // the dynamic linker's clean-up function, for the real entry point
    mov %rsp, %r12                  // argc, argv, NULL, envp, NULL, auxv
    lea params(%rip), %rbp
    cmpq $0, (%r12)
    je fail                         // no argv[0]: nothing says which role this is

// As process 1 of a bare guest: /proc, which the runtime cannot do without.
    mov $SYS_getpid, %eax
    syscall
    cmp $1, %eax
    jne script
    mov $AT_FDCWD, %rdi
    lea proc_stat(%rip), %rsi
    xor %edx, %edx
    mov $SYS_faccessat, %eax
    syscall
    test %eax, %eax
    jz script
    lea proc_type(%rip), %rdi
    lea proc_path(%rip), %rsi
    mov %rdi, %rdx
    mov $PROC_FLAGS, %r10d
    xor %r8d, %r8d
    mov $SYS_mount, %eax
    syscall                         // a failure shows soon enough, and in the runtime's words

// The script goes into a file without a name; the runtime opens it as /proc/self/fd/N.
script:
    lea memory_name(%rip), %rdi
    mov $MFD_CLOEXEC, %esi
    mov $SYS_memfd_create, %eax
    syscall
    test %eax, %eax
    js fail
    mov %eax, %r13d
    mov P_SCRIPT(%rbp), %rsi
    add %rbp, %rsi
    mov P_SCRIPT_LENGTH(%rbp), %r14
1:  mov %r13d, %edi
    mov %r14, %rdx
    mov $SYS_write, %eax
    syscall
    test %rax, %rax
    jle fail
    add %rax, %rsi
    sub %rax, %r14
    jnz 1b

// Its path: the number's digits from the right, then the fixed part before them.
    sub $48, %rsp
    lea 47(%rsp), %rbx
    movb $0, (%rbx)
    mov %r13d, %eax
    mov $10, %ecx
2:  xor %edx, %edx
    div %ecx
    add $48, %edx
    dec %rbx
    mov %dl, (%rbx)
    test %eax, %eax
    jnz 2b
    sub $FD_PATH_LENGTH, %rbx
    lea fd_path(%rip), %rsi
    mov %rbx, %rdi
    mov $FD_PATH_LENGTH, %ecx
    cld
    rep movsb

// Room for a new argument vector, environment and auxiliary vector, in the order the kernel lays them.
    mov (%r12), %rax
    lea 16(%r12,%rax,8), %r13       // old environment
    mov %r13, %rsi
3:  lodsq
    test %rax, %rax
    jnz 3b
    mov %rsi, %r14                  // old auxiliary vector
4:  lodsq
    add $8, %rsi
    test %rax, %rax
    jnz 4b
    sub %r12, %rsi                  // bytes in all
    mov P_ARG_COUNT(%rbp), %rax
    add P_ADD_COUNT(%rbp), %rax
    lea 8(%rsi,%rax,8), %rsi        // + one word for the script's path
    sub %rsi, %rsp
    and $-16, %rsp
    mov %rsp, %rdi

// argc; argv[0]; the runtime's arguments; the script; the caller's arguments
    mov (%r12), %rax
    add P_ARG_COUNT(%rbp), %rax
    inc %rax
    stosq
    mov 8(%r12), %rax
    stosq
    mov P_ARGS(%rbp), %rsi
    mov P_ARG_COUNT(%rbp), %rcx
    call strings
    mov %rbx, %rax
    stosq
    lea 16(%r12), %rsi
5:  lodsq
    stosq
    test %rax, %rax
    jnz 5b

// environment: the runtime's settings, then the caller's without what would change the runtime
    mov %rdi, %rbx
    mov P_ADD(%rbp), %rsi
    mov P_ADD_COUNT(%rbp), %rcx
    call strings
6:  mov (%r13), %rax
    add $8, %r13
    test %rax, %rax
    jz 10f
    mov P_DROP(%rbp), %rsi
    add %rbp, %rsi
    mov P_DROP_COUNT(%rbp), %rcx
7:  test %rcx, %rcx
    jz 9f
    mov %rax, %rdx                  // does the string start with this prefix?
8:  mov (%rsi), %r8b
    inc %rsi
    test %r8b, %r8b
    jz 6b                           // the prefix ended first: leave the string out
    cmp (%rdx), %r8b
    lea 1(%rdx), %rdx
    je 8b
11: cmpb $0, (%rsi)                 // on to the next prefix
    lea 1(%rsi), %rsi
    jne 11b
    dec %rcx
    jmp 7b
9:  stosq
    jmp 6b
10: stosq                           // rax is 0: the end

// auxiliary vector, unchanged
12: mov (%r14), %rax
    stosq
    mov 8(%r14), %rdx
    mov %rdx, (%rdi)
    add $8, %rdi
    add $16, %r14
    test %rax, %rax
    jnz 12b

// The C library took the old environment's address before this ran: tell it the new one.
    mov %rbp, %rsi
    sub P_SELF(%rbp), %rsi          // where the program was loaded
    mov P_ENVIRON(%rbp), %rax
    mov (%rsi,%rax), %rax
    mov %rbx, (%rax)

// The tables that the dynamic linker has worked through need no memory any more.
    mov %rsi, %rbx
    mov P_SPENT(%rbp), %rdi
    add %rsi, %rdi
    mov P_SPENT_LENGTH(%rbp), %rsi
    mov $MADV_DONTNEED, %edx
    mov $SYS_madvise, %eax
    syscall                         // if not, they stay

    mov P_ENTRY(%rbp), %rax
    add %rbx, %rax
    mov %r15, %rdx
    xor %ebp, %ebp
    jmp *%rax

// rsi: offset of rcx strings, each with its NUL. Their addresses are stored at rdi.
strings:
    add %rbp, %rsi
13: test %rcx, %rcx
    jz 15f
    mov %rsi, %rax
    stosq
14: cmpb $0, (%rsi)
    lea 1(%rsi), %rsi
    jne 14b
    dec %rcx
    jmp 13b
15: ret

fail:
    mov $2, %edi
    lea message(%rip), %rsi
    mov $MESSAGE_LENGTH, %edx
    mov $SYS_write, %eax
    syscall
    mov $127, %edi
    mov $SYS_exit_group, %eax
    syscall

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
