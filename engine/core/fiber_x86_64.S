/* The switch of stacks for the System V ABI of x86-64; see fiber.c.
 *
 * What a function must keep is six registers and the stack pointer. The control words of
 * the floating-point units belong to that set too, but nothing in the program changes them.
 */
#if defined(__x86_64__)
	.text

/* void fiber_switch(void **out_sp, void *to_sp) */
	.globl fiber_switch
	.hidden fiber_switch
	.type fiber_switch, @function
	.p2align 4
fiber_switch:
	.cfi_startproc
	pushq %rbp
	.cfi_adjust_cfa_offset 8
	pushq %rbx
	.cfi_adjust_cfa_offset 8
	pushq %r12
	.cfi_adjust_cfa_offset 8
	pushq %r13
	.cfi_adjust_cfa_offset 8
	pushq %r14
	.cfi_adjust_cfa_offset 8
	pushq %r15
	.cfi_adjust_cfa_offset 8
	movq %rsp, (%rdi)
	movq %rsi, %rsp
	popq %r15
	.cfi_adjust_cfa_offset -8
	popq %r14
	.cfi_adjust_cfa_offset -8
	popq %r13
	.cfi_adjust_cfa_offset -8
	popq %r12
	.cfi_adjust_cfa_offset -8
	popq %rbx
	.cfi_adjust_cfa_offset -8
	popq %rbp
	.cfi_adjust_cfa_offset -8
	ret
	.cfi_endproc
	.size fiber_switch, .-fiber_switch

/* Where a new fiber's first switch returns to: calls r12(r13), which never returns. */
	.globl fiber_begin
	.hidden fiber_begin
	.type fiber_begin, @function
	.p2align 4
fiber_begin:
	.cfi_startproc
	.cfi_undefined rip
	movq %r13, %rdi
	callq *%r12
	ud2
	.cfi_endproc
	.size fiber_begin, .-fiber_begin
#endif

	.section .note.GNU-stack, "", @progbits
