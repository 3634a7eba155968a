/* The switch of stacks for the procedure call standard of aarch64; see fiber.c.
 *
 * What a function must keep: x19 to x29, the return address in x30, the low halves of v8 to
 * v15, and the stack pointer.
 */
#if defined(__aarch64__)
	.text

/* void fiber_switch(void **out_sp, void *to_sp) */
	.globl fiber_switch
	.hidden fiber_switch
	.type fiber_switch, %function
	.p2align 4
fiber_switch:
	.cfi_startproc
	hint #34 /* bti c */
	sub sp, sp, #160
	.cfi_adjust_cfa_offset 160
	stp x19, x20, [sp, #0]
	stp x21, x22, [sp, #16]
	stp x23, x24, [sp, #32]
	stp x25, x26, [sp, #48]
	stp x27, x28, [sp, #64]
	stp x29, x30, [sp, #80]
	stp d8, d9, [sp, #96]
	stp d10, d11, [sp, #112]
	stp d12, d13, [sp, #128]
	stp d14, d15, [sp, #144]
	mov x9, sp
	str x9, [x0]
	mov sp, x1
	ldp x19, x20, [sp, #0]
	ldp x21, x22, [sp, #16]
	ldp x23, x24, [sp, #32]
	ldp x25, x26, [sp, #48]
	ldp x27, x28, [sp, #64]
	ldp x29, x30, [sp, #80]
	ldp d8, d9, [sp, #96]
	ldp d10, d11, [sp, #112]
	ldp d12, d13, [sp, #128]
	ldp d14, d15, [sp, #144]
	add sp, sp, #160
	.cfi_adjust_cfa_offset -160
	ret
	.cfi_endproc
	.size fiber_switch, .-fiber_switch

/* Where a new fiber's first switch returns to: calls x19(x20), which never returns. */
	.globl fiber_begin
	.hidden fiber_begin
	.type fiber_begin, %function
	.p2align 4
fiber_begin:
	.cfi_startproc
	.cfi_undefined x30
	hint #36 /* bti j: entered by ret, which needs none; harmless */
	mov x0, x20
	blr x19
	brk #1
	.cfi_endproc
	.size fiber_begin, .-fiber_begin
#endif

	.section .note.GNU-stack, "", %progbits
