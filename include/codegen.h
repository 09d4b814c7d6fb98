/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * codegen: from IR to an obj: lowering of sets and states to maps and tables, instruction
 * selection, registers, layout.
 */
#ifndef N2B_CODEGEN_H
#define N2B_CODEGEN_H

#include "ir.h"
#include "obj.h"

/*
 * Generates code for every function of the module, whose constant sets it lowers to tables first,
 * into a new obj; the caller adds manifest and metadata. NULL after errors (a function that cannot
 * be made small enough, say).
 */
struct obj_file *cg_module(struct ir_mod *m);
/*
 * The same function by function, in any order, as the module is built; who calls may free a
 * function's IR behind it. cg_fn: how many steps it takes the verifier, about. cg_close: the
 * object; NULL after errors. *over: the programs that need more stack than there is; with such the
 * kernel refuses the object. cg_module does not look for them.
 */
struct cg;
struct cg *cg_open(struct ir_mod *m);
uint32_t cg_fn(struct cg *cg, struct ir_fn *fn);
struct obj_file *cg_close(struct cg *cg, struct obj_overs *over);
/* `--emit asm`: the instructions in bpftool's notation with the rules between them. */
void cg_print(const struct obj_file *o, FILE *f);
/*
 * Instructions in `o` that line information gives to each rule, by the rule's address; the value is
 * the number.
 */
struct strmap *cg_rule_insns(const struct obj_file *o);

/* Functions with more tests than this get code that the verifier is quick with; tests lower it. */
extern uint32_t cg_large;

#endif
