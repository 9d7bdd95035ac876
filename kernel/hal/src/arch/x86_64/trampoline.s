// Where a started CPU begins: real mode, at the start of a page below 1 MiB, into which this code was copied.
// From there straight to long mode: PE and PG are set at once. The last words of the page's code are filled in by
// smp.rs. Offsets from `ap_start` are the same in the copy.

.section .rodata
.balign 16
.global ap_start
ap_start:
.code16
    cli
    cld
    mov %cs, %ax
    mov %ax, %ds
    lgdtl ap_gdt_pointer - ap_start
    mov %cr4, %eax
    or $(1 << 5), %eax
    mov %eax, %cr4
    mov ap_root - ap_start, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx
    rdmsr
    or $((1 << 8) | (1 << 11)), %eax
    wrmsr
    mov $0x80010001, %eax
    mov %eax, %cr0
    ljmpl *(ap_far_pointer - ap_start)
.code64
ap_long:
    xor %eax, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    mov ap_stack(%rip), %rsp
    mov ap_argument(%rip), %rdi
    mov ap_entry(%rip), %rax
    xor %ebp, %ebp
    call *%rax
    ud2

.balign 8
ap_gdt:
    .quad 0
    .quad 0x00af9b000000ffff
ap_gdt_pointer:
    .word 15
.global ap_gdt_base
ap_gdt_base:
    .long ap_gdt - ap_start
.global ap_far_pointer
ap_far_pointer:
    .long ap_long - ap_start
    .word 8
.balign 8
.global ap_root
ap_root:
    .quad 0
.global ap_stack
ap_stack:
    .quad 0
.global ap_argument
ap_argument:
    .quad 0
.global ap_entry
ap_entry:
    .quad 0
.global ap_end
ap_end:
