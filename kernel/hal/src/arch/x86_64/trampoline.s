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
    mov ax, cs
    mov ds, ax
    lgdtd [ap_gdt_pointer - ap_start]
    mov eax, cr4
    or eax, 1 << 5
    mov cr4, eax
    mov eax, [ap_root - ap_start]
    mov cr3, eax
    mov ecx, 0xc0000080
    rdmsr
    or eax, (1 << 8) | (1 << 11)
    wrmsr
    mov eax, 0x80010001
    mov cr0, eax
    jmp fword ptr [ap_far_pointer - ap_start]
.code64
ap_long:
    xor eax, eax
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov fs, eax
    mov gs, eax
    mov rsp, [rip + ap_stack]
    mov rdi, [rip + ap_argument]
    mov rax, [rip + ap_entry]
    xor ebp, ebp
    call rax
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
