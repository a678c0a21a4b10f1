# The whole of a program that names itself and then waits for ever.
.intel_syntax noprefix
    mov edi, 15             # PR_SET_NAME
    lea rsi, name[rip]
    mov eax, 157            # prctl
    syscall
again:
    xor edi, edi            # no descriptors
    xor esi, esi
    xor edx, edx            # no time limit
    xor r10d, r10d
    mov eax, 271            # ppoll
    syscall
    jmp again
name: .asciz "pause"
