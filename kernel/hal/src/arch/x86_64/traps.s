// Entry points: save every register into one `Registers` layout and return to Rust.
//
// From user mode the CPU's own pushes, and ours, go straight into the `Registers` of the running thread: TSS.RSP0 points
// at their end while the thread is in user mode. So leaving user mode is: save, load the kernel stack that
// `run_user` left, return from `run_user`. From kernel mode the frame is on the current stack.
//
// Layout, ascending: r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi vector error rip cs rflags rsp ss.

.macro push_registers
    push rdi
    push rsi
    push rdx
    push rcx
    push rax
    push r8
    push r9
    push r10
    push r11
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
.endm

.macro pop_registers
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    pop r11
    pop r10
    pop r9
    pop r8
    pop rax
    pop rcx
    pop rdx
    pop rsi
    pop rdi
.endm

// Interrupt gates keep the interrupted code's flags but for IF and TF: clear the rest, above all DF, which the ABI wants
// clear, and AC, with which a program would lift SMAP.
.macro clear_flags
    push 2
    popfq
.endm

// One stub a vector, 16 bytes each, from trap_stubs on: error code (zero where the CPU pushes none) and number.
.section .text
.balign 16
.global trap_stubs
trap_stubs:
.set vector, 0
.rept 256
    .balign 16
    .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
    push 0
    .endif
    push vector
    .if vector == 1
    jmp trap_debug
    .elseif vector == 2 || vector == 8 || vector == 18
    jmp trap_paranoid
    .else
    jmp trap_common
    .endif
    .set vector, vector + 1
.endr

trap_common:
    test byte ptr [rsp + 24], 3
    jnz 1f
    push_registers
    clear_flags
    mov rdi, rsp
    mov rbp, rsp
    and rsp, -16
    call {kernel_trap}
    mov rsp, rbp
    pop_registers
    add rsp, 16
    iretq
1:  swapgs
save_user:
    push_registers
    // RSP stands at the start of the registers, with other things below: no push before the kernel stack is back.
    mov rsp, gs:[{kernel_stack}]
    clear_flags
    jmp leave_user

// Debug in a program is an exception like others, but for what the CPU pushed, which is on the debug stack: move it to
// the thread's registers. `user_stack` is free for RAX: only SYSCALL's entry uses it, and that is no program.
trap_debug:
    test byte ptr [rsp + 24], 3
    jz trap_paranoid
    swapgs
    mov gs:[{user_stack}], rax
    mov rax, rsp
    mov rsp, gs:[{user_registers_end}]
    push qword ptr [rax + 48]
    push qword ptr [rax + 40]
    push qword ptr [rax + 32]
    push qword ptr [rax + 24]
    push qword ptr [rax + 16]
    push qword ptr [rax + 8]
    push qword ptr [rax]
    mov rax, gs:[{user_stack}]
    jmp save_user

// NMI, machine check, double fault, and debug in the kernel, come at any instruction, with either GS: look at the base
// itself (kernel addresses have the top bit set and programs cannot set such a base).
trap_paranoid:
    push_registers
    clear_flags
    mov rbp, rsp
    mov ecx, 0xc0000101
    rdmsr
    xor ebx, ebx
    test edx, edx
    js 2f
    swapgs
    inc ebx
2:  mov rdi, rsp
    call {paranoid_trap}
    test ebx, ebx
    jz 3f
    swapgs
3:  mov rsp, rbp
    pop_registers
    add rsp, 16
    iretq

// SYSCALL: RCX holds the return address, R11 the flags, RSP is still the user's. SFMASK cleared IF, DF, TF and AC.
.balign 16
.global syscall_entry
syscall_entry:
    swapgs
    mov gs:[{user_stack}], rsp
    mov rsp, gs:[{user_registers_end}]
    push {user_data}
    push qword ptr gs:[{user_stack}]
    push r11
    push {user_code}
    push rcx
    push 0
    push {syscall_vector}
    push_registers
    mov rsp, gs:[{kernel_stack}]
leave_user:
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbx
    pop rbp
    ret

// fn run_user(registers: *mut Registers): goes to user mode, returns when something brings the CPU back.
// Interrupts are off on both ways.
.balign 16
.global run_user
run_user:
    push rbp
    push rbx
    push r12
    push r13
    push r14
    push r15
    mov gs:[{kernel_stack}], rsp
    lea rax, [rdi + {registers_size}]
    mov gs:[{user_registers_end}], rax
    mov gs:[{tss_stack}], rax
    mov rsp, rdi
    // SYSRET if these registers came from SYSCALL and still look like it: RIP and RFLAGS go through RCX and R11, as
    // Linux lets programs see. `UserContext::run` made sure that RIP is canonical.
    cmp qword ptr [rdi + {vector_offset}], {syscall_vector}
    jne 4f
    pop_registers
    mov rcx, [rsp + 16]
    mov r11, [rsp + 32]
    mov rsp, [rsp + 40]
    swapgs
    sysretq
4:  pop_registers
    add rsp, 16
    swapgs
    iretq

// User memory. A fault between these labels ends at the matching exit with what is left in RCX; the fault handler
// looks addresses up in the table below.
// fn copy_user(to, from, len) -> bytes not copied
.balign 16
.global copy_user
copy_user:
    mov rcx, rdx
    shr rcx, 3
copy_user_words:
    rep movsq
    mov rcx, rdx
    and ecx, 7
copy_user_bytes:
    rep movsb
    xor eax, eax
    ret
// A word that faults may have bytes before the fault: they are copied one by one, up to the byte that faults itself.
copy_user_words_fault:
    and edx, 7
    lea rcx, [rdx + rcx * 8]
    jmp copy_user_bytes
copy_user_bytes_fault:
    mov rax, rcx
    ret

// fn zero_user(to, len) -> bytes not cleared
.balign 16
.global zero_user
zero_user:
    mov rcx, rsi
    xor eax, eax
zero_user_bytes:
    rep stosb
    ret
zero_user_fault:
    mov rax, rcx
    ret

// fn compare_exchange_user(address, expected, new, found: *mut u32) -> 0 or 1 for a fault
.balign 16
.global compare_exchange_user
compare_exchange_user:
    mov eax, esi
compare_exchange_user_access:
    lock cmpxchg [rdi], edx
    mov [rcx], eax
    xor eax, eax
    ret
compare_exchange_user_fault:
    mov eax, 1
    ret

.section .data.rel.ro, "aw"
.balign 8
.global user_access_table
user_access_table:
    .quad copy_user_words, copy_user_words_fault
    .quad copy_user_bytes, copy_user_bytes_fault
    .quad zero_user_bytes, zero_user_fault
    .quad compare_exchange_user_access, compare_exchange_user_fault
    .quad 0, 0
