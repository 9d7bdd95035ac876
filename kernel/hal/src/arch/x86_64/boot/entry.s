// The first instructions: from 32-bit protected mode without paging (PVH and Multiboot2 agree on it) to 64-bit code
// in the higher half. Runs at the physical load address, so every symbol is reached relative to %ebp.
//
// The page tables made here are thrown away by boot::relocate; they hold W^X all the same:
//   PML4[0]    one page, this one, read-execute, where it lies in physical memory
//   PML4[256]  the first 4 GiB of physical memory, read-write, never executable: the early window
//   PML4[511]  the image where it was linked, each part with its own permissions

.set IMAGE_BASE, 0xffffffff80000000
.set PRESENT, 1
.set WRITABLE, 2
.set LARGE, 0x80
.set NO_EXECUTE_HIGH, 0x80000000
.set TABLES, 18                 // pages in boot_tables
.set T_PML4, 0
.set T_LOW_PDPT, 0x1000
.set T_LOW_PD, 0x2000
.set T_LOW_PT, 0x3000
.set T_WINDOW_PDPT, 0x4000
.set T_WINDOW_PD, 0x5000        // four of them
.set T_HIGH_PDPT, 0x9000
.set T_HIGH_PD, 0xa000
.set T_HIGH_PT, 0xb000          // seven of them: 14 MiB

.section .boot.text, "ax"
.code32
.global pvh_entry
pvh_entry:
    mov $0x50564800, %edi       // "PVH": our own mark, PVH passes none in a register
    jmp start32

.global multiboot2_entry, start64, no_long_mode_text, boot_gdt, boot_gdt_pointer
multiboot2_entry:
    mov %eax, %edi              // 0x36d76289 if a Multiboot2 loader really jumped here

start32:
    cli
    cld
    mov %ebx, %esi              // physical address of the loader's information
    mov $LOAD_BASE, %ebp        // the program headers promise it
    lea OFFSET_BOOT_STACK_TOP(%ebp), %esp

    // A 64-bit CPU with no-execute pages, or a sentence.
    mov $0x80000000, %eax
    cpuid
    cmp $0x80000001, %eax
    jb no_long_mode
    mov $0x80000001, %eax
    cpuid
    test $(1 << 29), %edx
    jz no_long_mode
    test $(1 << 20), %edx
    jz no_long_mode

    // Tables: clear, then link.
    lea OFFSET_BOOT_TABLES(%ebp), %ebx
    push %edi
    mov %ebx, %edi
    xor %eax, %eax
    mov $(TABLES * 1024), %ecx
    rep stosl
    pop %edi

    lea T_LOW_PDPT + PRESENT + WRITABLE(%ebx), %eax
    mov %eax, T_PML4(%ebx)
    lea T_WINDOW_PDPT + PRESENT + WRITABLE(%ebx), %eax
    mov %eax, T_PML4 + 256 * 8(%ebx)
    lea T_HIGH_PDPT + PRESENT + WRITABLE(%ebx), %eax
    mov %eax, T_PML4 + 511 * 8(%ebx)
    lea T_LOW_PD + PRESENT + WRITABLE(%ebx), %eax
    mov %eax, T_LOW_PDPT(%ebx)
    lea T_LOW_PT + PRESENT + WRITABLE(%ebx), %eax
    mov %eax, T_LOW_PD + 8(%ebx)
    lea PRESENT(%ebp), %eax
    mov %eax, T_LOW_PT(%ebx)
    lea T_HIGH_PD + PRESENT + WRITABLE(%ebx), %eax
    mov %eax, T_HIGH_PDPT + 510 * 8(%ebx)

    // Seven page tables of the image, from the second entry on: the image starts at 2 MiB.
    lea T_HIGH_PT + PRESENT + WRITABLE(%ebx), %eax
    xor %ecx, %ecx
1:  mov %eax, T_HIGH_PD + 8(%ebx, %ecx, 8)
    add $0x1000, %eax
    inc %ecx
    cmp $7, %ecx
    jb 1b

    // Four directories of the window, with 2 MiB pages.
    lea T_WINDOW_PD + PRESENT + WRITABLE(%ebx), %eax
    xor %ecx, %ecx
1:  mov %eax, T_WINDOW_PDPT(%ebx, %ecx, 8)
    add $0x1000, %eax
    inc %ecx
    cmp $4, %ecx
    jb 1b
    mov $(PRESENT + WRITABLE + LARGE), %eax
    xor %ecx, %ecx
1:  mov %eax, T_WINDOW_PD(%ebx, %ecx, 8)
    movl $NO_EXECUTE_HIGH, T_WINDOW_PD + 4(%ebx, %ecx, 8)
    add $0x200000, %eax
    inc %ecx
    cmp $2048, %ecx
    jb 1b

    // The image, page by page: text read-execute, rodata read, the rest read-write.
    xor %ecx, %ecx
1:  mov %ecx, %eax
    shl $12, %eax
    lea PRESENT(%ebp, %eax), %edx
    cmp $OFFSET_TEXT_END, %eax
    jb 3f
    movl $NO_EXECUTE_HIGH, T_HIGH_PT + 4(%ebx, %ecx, 8)
    cmp $OFFSET_RODATA_END, %eax
    jb 3f
    or $WRITABLE, %edx
3:  mov %edx, T_HIGH_PT(%ebx, %ecx, 8)
    inc %ecx
    cmp $OFFSET_IMAGE_END, %eax
    jb 1b

    // PAE, long mode with NX, paging with write protection.
    mov %cr4, %eax
    or $(1 << 5), %eax
    mov %eax, %cr4
    mov %ebx, %cr3
    mov $0xc0000080, %ecx
    rdmsr
    or $((1 << 8) | (1 << 11)), %eax
    wrmsr
    mov %cr0, %eax
    or $((1 << 31) | (1 << 16) | 1), %eax
    and $~((1 << 29) | (1 << 30)), %eax  // caches on
    mov %eax, %cr0

    // Only this page is still mapped here: table, pointer and target all lie in it.
    lgdtl PHYSICAL_BOOT_GDT_POINTER
    ljmpl $8, $PHYSICAL_START64

.balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff    // 64-bit code, ring 0
boot_gdt_pointer:
    .word 15
    .long PHYSICAL_BOOT_GDT

no_long_mode:
    lea OFFSET_NO_LONG_MODE_TEXT(%ebp), %esi
    mov $0x3f8, %edx
1:  lodsb
    test %al, %al
    jz 2f
    outb %al, %dx
    outb %al, $0xe9
    jmp 1b
2:  hlt
    jmp 2b
no_long_mode_text:
    .asciz "Nacre: this CPU lacks 64-bit mode or no-execute pages. Start it on an x86-64 CPU (QEMU: -cpu qemu64 or max).\r\n"

.code64
start64:
    xor %eax, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    lea higher_half(%rip), %rax
    movabs $IMAGE_BASE, %rcx
    add %rcx, %rax
    jmp *%rax
higher_half:
    lea boot_stack_top(%rip), %rsp
    xor %ebp, %ebp
    mov %edi, %edi
    mov %esi, %esi
    call {boot_entry}
    ud2

.section .text.limine_entry, "ax"
.global limine_entry
limine_entry:
    lea boot_stack_top(%rip), %rsp
    xor %ebp, %ebp
    call {limine_boot_entry}
    ud2

.section .bss.boot, "aw", @nobits
.balign 4096
.global boot_tables
boot_tables:
    .skip TABLES * 4096
boot_stack:
    .skip 32768
.global boot_stack_top
boot_stack_top:
