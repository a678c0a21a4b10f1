// The whole of a program that names itself and then waits for ever.
    mov x0, #15             // PR_SET_NAME
    adr x1, name
    mov x8, #167            // prctl
    svc #0
again:
    mov x0, #0              // no descriptors
    mov x1, #0
    mov x2, #0              // no time limit
    mov x3, #0
    mov x8, #73             // ppoll
    svc #0
    b again
name: .asciz "pause"
