/* SPDX-License-Identifier: GPL-2.0-or-later */
/* actions: what the grammar's rules do beyond making one node. */
#ifndef N2B_ACTIONS_H
#define N2B_ACTIONS_H

#include "parser.h"

/* commands */
void add_cmd(struct parser *p, struct ast_cmd *c, struct loc loc);
struct ast_cmd *new_cmd(struct parser *p, enum ast_op op);
struct ast_cmd *cmd_on(struct ast_cmd *c, enum ast_what what, const struct ast_ref *ref);
struct ast_cmd *cmd_handle(struct ast_cmd *c, enum ast_what what, const struct ast_ref *ref,
			   uint64_t handle);
void cmd_object(struct parser *p, struct ast_cmd *c, const struct ast_cmd *kind, struct loc loc);
struct ast_cmd *reset_all(struct parser *p, const char *what, struct loc loc,
			  const struct ast_ref *ref);
struct ast_cmd *query(struct parser *p, struct tok t, struct loc loc);
struct ast_ref *new_ref(struct parser *p, const char *family, struct loc floc, const char *table,
			struct loc tloc);
struct ast_ref *ref_name(struct ast_ref *r, const char *name, struct loc loc);
void need_handle(struct parser *p, const struct ast_ref *r, struct loc loc);
void check_family(struct parser *p, struct loc loc, const char *s);
void check_ip(struct parser *p, struct loc loc, const char *s);

/* blocks */
struct ast_table *new_table(struct parser *p);
void table_flag(struct parser *p, const char *s, struct loc loc);
void set_comment(struct parser *p, const char **where, struct loc loc, const char *text);
struct ast_chain *name_chain(struct parser *p, const char *name, struct loc nloc, struct loc loc);
void chain_hook(struct parser *p, const char *type, struct loc tloc, const char *hook,
		struct loc hloc, const struct ast_prio *prio, struct loc loc);
void chain_policy(struct parser *p, struct ast_expr *e);
struct ast_prio *prio_num(struct parser *p, struct loc loc, struct tok t, bool neg);
struct ast_prio *prio_name(struct parser *p, struct loc loc, struct ast_expr *e,
			   const struct tok *off, bool neg);
struct ast_set *name_set(struct parser *p, const char *name, struct loc nloc, struct loc loc,
			 bool is_map);
void set_type(struct parser *p, struct ast_type *key, struct ast_type *data);
void set_flags_line(struct parser *p, uint32_t flags);
struct ast_type *type_add(struct parser *p, struct ast_type *t, const char *name, struct loc loc);
struct ast_type *typeof_type(struct parser *p, struct ast_expr *e);
struct ast_type *typeof_data(struct parser *p, struct ast_expr *e);
void check_hook(struct parser *p, struct loc loc, const char *hook);
void set_typeof_interval(struct parser *p, struct ast_expr *key, struct ast_expr *data);
void set_policy(struct parser *p, struct loc loc, const char *s);
void set_elems(struct parser *p, struct ast_expr *e);
struct ast_flowtable *name_ft(struct parser *p, const char *name, struct loc nloc, struct loc loc);
struct ast_cmd *obj_is(struct parser *p, enum ast_obj_kind k);
enum ast_obj_kind ct_object(struct parser *p, struct tok t, struct loc loc);
void obj_wants(struct parser *p, enum ast_obj_kind k, struct loc loc);
void add_object(struct parser *p, enum ast_obj_kind k, const char *name, struct loc nloc,
		struct loc loc, struct loc body);
void ct_helper_type(struct parser *p, const char *helper, const char *word, struct loc wloc,
		    const char *proto, struct loc ploc);
void ct_word(struct parser *p, const char *word, struct loc loc, const char *s, struct loc sloc,
	     struct ast_expr *num);
void ct_state(struct parser *p, const char *state, struct loc loc, uint64_t secs);

/* statements */
struct ast_stmt *objref(struct parser *p, struct loc loc, const char *what, struct ast_expr *ref);
struct ast_stmt *anon_chain(struct parser *p, struct loc loc, uint64_t is_goto);
struct ast_limit *limit_done(struct parser *p, struct ast_limit *l, struct loc loc);
struct ast_limit *limit_burst(struct parser *p, struct ast_limit *l, struct loc loc, uint64_t n,
			      const char *unit, struct loc uloc);
struct ast_stmt *new_log(struct parser *p, struct loc loc);
void log_arg(struct parser *p, struct ast_stmt *s);
const char *log_level(struct parser *p, struct loc loc, const char *s);
struct ast_stmt *reject(struct parser *p, struct loc loc, struct tok with, struct loc wloc,
			struct ast_expr *code);
struct ast_nat *new_nat(struct parser *p, struct ast_expr *addr, struct ast_expr *port);
struct ast_stmt *nat(struct parser *p, struct loc loc, enum ast_nat_kind k, struct ast_nat *n,
		     uint64_t flags);
struct ast_stmt *tproxy(struct parser *p, struct loc loc, const char *family,
			const struct ast_nat *to);
void synproxy_arg(struct parser *p, struct ast_stmt *s);
struct ast_stmt *dynset(struct parser *p, struct loc loc, uint64_t op, const struct ast_expr *set,
			struct ast_elem elem);
struct ast_stmt *meter(struct parser *p, struct loc loc, const char *name, const struct tok *size,
		       struct loc sloc, struct ast_elem elem);
struct ast_elem_opts *opts_join(struct parser *p, struct ast_elem_opts *a, struct ast_elem_opts *b);
void timeout_word(struct parser *p, struct ast_elem_opts *o, struct loc loc, const char *s);

/* expressions */
struct ast_expr *quoted(struct parser *p, struct loc loc, const char *text);
struct ast_expr *glob_value(struct parser *p, struct loc loc, const char *text);
struct ast_expr *closed(struct ast_expr *e);
struct ast_expr *option(struct parser *p, enum ast_expr_kind k, struct loc loc, struct tok t);
struct ast_expr *raw_option(struct parser *p, struct loc loc, struct tok kind, struct tok off,
			    struct loc oloc, struct tok len, struct loc lloc);
struct ast_expr *mk_raw(struct parser *p, struct loc loc, struct tok base, struct tok off,
			struct loc oloc, struct tok len, struct loc lloc);
struct ast_expr *rt_expr(struct parser *p, struct loc loc, struct tok t);
struct ast_expr *mk_numgen(struct parser *p, struct loc loc, struct tok mode, struct tok mod,
			   struct loc mloc, const struct tok *offset);
struct ast_expr *mk_hash(struct parser *p, struct loc loc, struct ast_expr *e, struct tok mod,
			 struct loc mloc, const struct tok *seed, const struct tok *offset);
struct ast_expr *mk_negative(struct parser *p, struct loc loc, struct tok t);
struct ast_expr *flag_cmp(struct parser *p, struct loc loc, struct loc oloc, struct ast_expr *left,
			  uint64_t op, struct ast_expr *value, struct ast_expr *mask);
void check_kind(struct parser *p, struct loc loc, struct tok t);

/* errors */
void check_left(struct parser *p, const struct ast_expr *e);
void check_st(struct parser *p, const struct ast_expr *e);
bool syntax_bare_protocol(struct parser *p);
void syntax_error(struct parser *p, struct loc loc, const char *text);

#endif
