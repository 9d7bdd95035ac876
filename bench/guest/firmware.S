/*
 * Two tiny "kernels" that print when the firmware let them start, then halt: what every boot pays before the
 * kernel under test gets a word in. With -DPVH an ELF file that QEMU starts as it starts nacre.elf (32-bit
 * protected mode, Xen's PVH note), without it a Linux bzImage (real mode; Documentation/arch/x86/boot.rst).
 * The value is printed in hexadecimal, because that takes no division.
 */

#define COM1 0x3f8
#define LINE_STATUS (COM1 + 5)
#define TRANSMITTER_EMPTY 0x20

#ifdef PVH
    .section .note.pvh, "a", @note
    .align 4
    .long 4, 4, 18          /* sizes of name and value, XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long _start

    .text
    .code32
    .globl _start
_start:
    rdtsc
    movl $0x7000, %esp      /* PVH gives no stack; this is free memory below the first MiB */
    code_base = 0
#else
    .text
    .code16
    .org 0x1f1
    .byte 1                 /* setup_sects: one more sector, the code below */
    .org 0x1f4
    .long 0x20              /* syssize in 16 bytes: the protected-mode part, which is never entered */
    .org 0x1fe
    .word 0xaa55
    .globl _start
_start:                     /* the real-mode entry, where cs:ip is 0x20 paragraphs into the file : 0 */
    jmp start
    .ascii "HdrS"
    .word 0x0203            /* the oldest protocol that knows initrd_addr_max */
    .org 0x211
    .byte 1                 /* LOADED_HIGH */
    .org 0x22c
    .long 0x7fffffff        /* initrd_addr_max */
    .org 0x240
start:
    rdtsc
    code_base = 0x200
#endif
    movl %edx, %esi
    movl %eax, %edi
    movl $(before - code_base), %ebx
    call put_text

    movl $16, %ebp          /* digits */
digit:
    xorl %eax, %eax
    shldl $4, %esi, %eax    /* the highest four bits of esi:edi */
    shldl $4, %edi, %esi
    shll $4, %edi
    addb $'0', %al
    cmpb $'9', %al
    jbe 1f
    addb $('a' - '9' - 1), %al
1:  call put_byte
    decl %ebp
    jnz digit

    movl $(after - code_base), %ebx
    call put_text
    cli
halt:
    hlt
    jmp halt

put_text:
    movb %cs:(%ebx), %al
    incl %ebx
    testb %al, %al
    jz 1f
    call put_byte
    jmp put_text
1:  ret

put_byte:
    movb %al, %cl
    movw $LINE_STATUS, %dx
1:  inb %dx, %al
    testb $TRANSMITTER_EMPTY, %al
    jz 1b
    movb %cl, %al
    movw $COM1, %dx
    outb %al, %dx
    ret

before:
    .asciz "bench: firmware ticks 0x"
after:
    .asciz "\nbench: end done 0\n"

#ifndef PVH
    .org 0x600              /* two setup sectors and some protected-mode part */
#endif
