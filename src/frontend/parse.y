%code top {
// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * parse: the grammar of nft. Which words are keywords where is settled in lex.c, so the grammar is
 * free of start conditions; actions build nodes (build.c) and never look anything up but variables.
 */
/* What bison generates. */
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
}
%define api.pure full
%define api.prefix {fe_yy}
%define api.location.type {struct loc}
%define parse.error custom
%locations
%param { struct parser *p }

%code requires {
#include "parser.h"
}
%code provides {
int fe_yylex(FE_YYSTYPE *val, struct loc *loc, struct parser *p);
}
%code {
static void fe_yyerror(struct loc *loc, struct parser *p, const char *msg);

#define YYLLOC_DEFAULT(cur, rhs, n)                                                                \
	((cur) = (n) ? loc_span(YYRHSLOC(rhs, 1), YYRHSLOC(rhs, n)) : empty_loc(YYRHSLOC(rhs, 0)))

static struct loc empty_loc(struct loc before)
{
	before.line = before.end_line;
	before.col = before.end_col;
	return before;
}
#include "actions.h"
}

%union {
	struct tok tok;
	struct ast_expr *expr;
	struct ast_stmt *stmt;
	struct ast_rule *rule;
	struct ast_elem elem;
	struct ast_elem_opts *opts;
	struct ast_cmd *cmd;
	struct ast_ref *ref;
	struct ast_type *type;
	struct ast_prio *prio;
	struct ast_nat *nat;
	struct ast_limit *limit;
	const char *text;
	uint64_t num;
}

%token T_EQ "==" T_NEQ "!=" T_LT "<" T_LTE "<=" T_GT ">" T_GTE ">=" T_LSHIFT "<<" T_RSHIFT ">>"
%token <tok> T_RUN "elements of a set"
%token T_NL "end of line" T_JUNK "character" YYEOF 0 "end of input"
%token <tok> T_WORD "name" T_SYM "address or time" T_NUM "number" T_STRING "string" T_GLOB "name with *"
%token <tok> T_VAR "$variable" T_SETREF "@set"
%token <tok> T_PROTO "protocol" T_FAMILY "family"
%token <tok> T_PAYLOAD "header field" T_RAWBASE "raw payload" T_INNER "tunnel" T_EXTFIELD "extension header" T_EXTHDR "exthdr"
%token <tok> T_METAKEY "meta key" T_CTKEY "ct key" T_CT_COUNT "ct count" T_RTKEY "rt key" T_SOCKETKEY "socket"
%token <tok> T_OSF "osf" T_FIB "fib" T_XFRM "ipsec" T_TUNNELKEY "tunnel key" T_NUMGEN "numgen" T_JHASH "jhash" T_SYMHASH "symhash"
%token <tok> T_TCP_OPTION "tcp option" T_IP_OPTION "ip option" T_DCCP_OPTION "dccp option" T_SCTP_CHUNK "sctp chunk"
%token <tok> T_OPTFIELD "option" T_RAWOPT "@kind" T_MOD "mod" T_SEED "seed" T_OFFSET "offset"
%token <tok> T_QUERY "query" T_LOGFLAGS "log flags"
%token <tok> T_INCLUDE "include" T_DEFINE "define" T_REDEFINE "redefine" T_UNDEFINE "undefine"
%token <tok> T_TABLE "table" T_CHAIN "chain" T_RULE "rule" T_SET "set" T_MAP "map" T_VMAP "vmap" T_ELEMENT "element"
%token <tok> T_FLOWTABLE "flowtable" T_RULESET "ruleset" T_TUNNEL "tunnel object" T_SECMARK "secmark"
%token <tok> T_ADD "add" T_CREATE "create" T_INSERT "insert" T_REPLACE "replace" T_UPDATE "update" T_DELETE "delete"
%token <tok> T_DESTROY "destroy" T_RESET "reset" T_FLUSH "flush" T_RENAME "rename"
%token <tok> T_HANDLE "handle" T_POSITION "position" T_INDEX "index" T_COMMENT "comment" T_HOOK "hook"
%token <tok> T_DEVICE "device" T_DEVICES "devices" T_PRIORITY "priority" T_POLICY "policy" T_FLAGS "flags" T_OFFLOAD "offload"
%token <tok> T_TYPE "type" T_TYPEOF "typeof" T_CONSTANT "constant" T_INTERVAL "interval" T_DYNAMIC "dynamic"
%token <tok> T_TIMEOUT "timeout" T_EXPIRES "expires" T_GC_INTERVAL "gc-interval" T_SIZE "size" T_AUTOMERGE "auto-merge"
%token <tok> T_ELEMENTS "elements" T_ACCEPT "accept" T_DROP "drop" T_CONTINUE "continue" T_RETURN "return" T_JUMP "jump" T_GOTO "goto"
%token <tok> T_COUNTER "counter" T_LIMIT "limit" T_QUOTA "quota" T_LAST "last" T_LOG "log" T_REJECT "reject" T_QUEUE "queue"
%token <tok> T_SNAT "snat" T_DNAT "dnat" T_MASQUERADE "masquerade" T_REDIRECT "redirect" T_RANDOM "random"
%token <tok> T_TPROXY "tproxy" T_SYNPROXY "synproxy" T_DUP "dup" T_FWD "fwd" T_NOTRACK "notrack" T_FLOW "flow" T_METER "meter"
%token <tok> T_XT "xt" T_EXISTS "exists" T_MISSING "missing"
%token <tok> T_NAME "object name" T_PACKETS "packets" T_BYTES "bytes" T_RATE "rate" T_OVER "over" T_UNTIL "until" T_BURST "burst"
%token <tok> T_USED "used" T_NEVER "never" T_PREFIX "prefix" T_GROUP "group" T_SNAPLEN "snaplen" T_QTHRESHOLD "queue-threshold"
%token <tok> T_LEVEL "level" T_WITH "with" T_QNUM "num" T_TO "to" T_BYPASS "bypass" T_FANOUT "fanout" T_ADDR "addr" T_PORT "port"
%token <tok> T_PERSISTENT "persistent" T_FULLY_RANDOM "fully-random" T_MSS "mss" T_WSCALE "wscale" T_TIMESTAMP "timestamp"
%token <tok> T_SACK_PERM "sack-perm"

%type <tok> identifier family string obj_name num_opt
%type <cmd> cmd add_verb del_verb obj_kind
%type <ref> table_ref obj_ref rule_pos ruleset_ref reset_ref
%type <text> obj_word
%type <expr> value kw_value boolean field_expr primary_expr shift_expr and_expr xor_expr basic_expr concat_expr map_expr
%type <expr> primary_rhs shift_rhs and_rhs xor_rhs basic_rhs multi_rhs concat_rhs list_rhs rhs_expr list_or_rhs
%type <expr> primary_st shift_st and_st xor_st basic_st concat_st stmt_expr list_st sym_st
%type <expr> set_expr set_list init_expr elems_expr elem_key elem_data vmap_set verdict_expr chain_name hash_expr
%type <expr> dev_expr dev_list dev_item policy_value reject_code queue_num queue_dest qv dyn_data set_ref inner_expr match_expr match_left
%type <elem> elem dyn_elem
%type <opts> elem_opts
%type <stmt> stmt stateful objref_stmt log_stmt log_args nat_stmt queue_stmt queue_args synproxy_stmt synproxy_args
%type <stmt> chain_stmt dyn_stmt meter_stmt limit_stmt counter_stmt counter_args
%type <rule> stmts rule
%type <prio> prio
%type <type> type_list
%type <nat> nat_args nat_dest
%type <limit> limit_cfg limit_rate
%type <num> time_ms verdict_jump nat_flags nat_flag opt_nat_flags last_nat_flags rel_op queue_flags queue_flag set_flags set_flag dyn_op bool_over
%type <num> quota_bytes quota_used

%%

script:
	%empty
|	script line
;

line:
	sep
|	common
|	cmd sep				{ add_cmd(p, $1, @1); }
|	error sep			{ yyerrok; }
;

sep: T_NL | ';' ;

nls: %empty | nls T_NL ;

common:
	T_INCLUDE T_STRING sep		{ input_include(p, $2.a, @2); }
|	T_DEFINE identifier '=' init_expr sep	{ scope_define(p, @2, $2.a, $4, false); }
|	T_REDEFINE identifier '=' init_expr sep	{ scope_define(p, @2, $2.a, $4, true); }
|	T_UNDEFINE identifier sep	{ scope_undefine(p, @2, $2.a); }
;

identifier: T_WORD | T_SYM | T_LAST ;
string: T_WORD | T_SYM | T_STRING | T_GLOB ;
family: T_PROTO { check_family(p, @1, $1.a); } | T_FAMILY ;

/* -- commands -- */

table_ref:
	identifier			{ $$ = new_ref(p, NULL, @1, $1.a, @1); }
|	family identifier		{ $$ = new_ref(p, $1.a, @1, $2.a, @2); }
;
obj_ref: table_ref identifier		{ $$ = ref_name($1, $2.a, @2); } ;
rule_pos:
	obj_ref
|	obj_ref T_HANDLE T_NUM		{ $$ = $1; $$->handle = $3.num; $$->has_handle = true; }
|	obj_ref T_POSITION T_NUM	{ $$ = $1; $$->position = $3.num; $$->has_position = true; }
|	obj_ref T_INDEX T_NUM		{ $$ = $1; $$->index = $3.num; $$->has_index = true; }
;
ruleset_ref:
	%empty				{ $$ = new_ref(p, NULL, @$, NULL, @$); }
|	family				{ $$ = new_ref(p, $1.a, @1, NULL, @1); }
;

add_verb:
	%empty				{ $$ = new_cmd(p, ACMD_ADD); }
|	T_ADD				{ $$ = new_cmd(p, ACMD_ADD); }
|	T_CREATE			{ $$ = new_cmd(p, ACMD_CREATE); }
;
del_verb:
	T_DELETE			{ $$ = new_cmd(p, ACMD_DELETE); }
|	T_DESTROY			{ $$ = new_cmd(p, ACMD_DESTROY); }
;
cmd:
	add_verb T_TABLE table_ref	{ $$ = cmd_on($1, AW_TABLE, $3); }
|	add_verb T_TABLE table_ref table_open table_block block_end
					{ $$ = cmd_on($1, AW_TABLE, $3); $$->table = p->table; p->table->loc = @$; }
|	add_verb T_CHAIN obj_ref	{ $$ = cmd_on($1, AW_CHAIN, $3); }
|	add_verb T_CHAIN obj_ref chain_open chain_block block_end
					{ $$ = cmd_on($1, AW_CHAIN, $3); $$->chain = name_chain(p, $3->name, $3->name_loc, @$); }
|	add_verb T_RULE rule_pos rule	{ $$ = cmd_on($1, AW_RULE, $3); $$->rule = $4; }
|	add_verb rule_pos rule		{ $$ = cmd_on($1, AW_RULE, $2); $$->rule = $3; }
|	T_INSERT T_RULE rule_pos rule	{ $$ = cmd_on(new_cmd(p, ACMD_INSERT), AW_RULE, $3); $$->rule = $4; }
|	T_REPLACE T_RULE rule_pos rule	{ $$ = cmd_on(new_cmd(p, ACMD_REPLACE), AW_RULE, $3); $$->rule = $4; }
|	add_verb T_SET obj_ref set_open set_block block_end
					{ $$ = cmd_on($1, AW_SET, $3); $$->set = name_set(p, $3->name, $3->name_loc, @$, false); }
|	add_verb T_MAP obj_ref set_open set_block block_end
					{ $$ = cmd_on($1, AW_MAP, $3); $$->set = name_set(p, $3->name, $3->name_loc, @$, true); }
|	add_verb T_ELEMENT obj_ref elems_expr	{ $$ = cmd_on($1, AW_ELEMENT, $3); $$->elems = $4; }
|	add_verb T_FLOWTABLE obj_ref ft_open ft_block block_end
					{ $$ = cmd_on($1, AW_FLOWTABLE, $3); $$->flowtable = name_ft(p, $3->name, $3->name_loc, @$); }
|	add_verb obj_kind obj_ref obj_config
					{ $$ = cmd_on($1, AW_OBJECT, $3); cmd_object(p, $$, $2, @$); }
|	add_verb obj_kind obj_ref obj_open obj_block block_end
					{ $$ = cmd_on($1, AW_OBJECT, $3); cmd_object(p, $$, $2, @$); p->obj->body = loc_span(@4, @6); }
|	add_verb T_TUNNEL obj_ref obj_open tunnel_block block_end
					{ $$ = cmd_on($1, AW_OBJECT, $3); $$->obj_kind = AO_TUNNEL; cmd_object(p, $$, $$, @$); p->obj->body = loc_span(@4, @6); }
|	del_verb T_TABLE table_ref	{ $$ = cmd_on($1, AW_TABLE, $3); }
|	del_verb T_TABLE num_opt	{ $$ = cmd_on($1, AW_TABLE, new_ref(p, $3.b, @3, NULL, @3)); $$->ref.handle = $3.num; $$->ref.has_handle = true; }
|	del_verb T_CHAIN obj_ref	{ $$ = cmd_on($1, AW_CHAIN, $3); }
|	del_verb T_CHAIN table_ref T_HANDLE T_NUM	{ $$ = cmd_handle($1, AW_CHAIN, $3, $5.num); }
|	del_verb T_CHAIN obj_ref chain_open chain_block block_end
					{ $$ = cmd_on($1, AW_CHAIN, $3); $$->chain = name_chain(p, $3->name, $3->name_loc, @$); }
|	del_verb T_RULE rule_pos	{ $$ = cmd_on($1, AW_RULE, $3); need_handle(p, $3, @3); }
|	del_verb T_SET obj_ref		{ $$ = cmd_on($1, AW_SET, $3); }
|	del_verb T_SET table_ref T_HANDLE T_NUM	{ $$ = cmd_handle($1, AW_SET, $3, $5.num); }
|	del_verb T_MAP obj_ref		{ $$ = cmd_on($1, AW_MAP, $3); }
|	del_verb T_MAP table_ref T_HANDLE T_NUM	{ $$ = cmd_handle($1, AW_MAP, $3, $5.num); }
|	del_verb T_ELEMENT obj_ref elems_expr	{ $$ = cmd_on($1, AW_ELEMENT, $3); $$->elems = $4; }
|	del_verb T_FLOWTABLE obj_ref	{ $$ = cmd_on($1, AW_FLOWTABLE, $3); }
|	del_verb T_FLOWTABLE table_ref T_HANDLE T_NUM	{ $$ = cmd_handle($1, AW_FLOWTABLE, $3, $5.num); }
|	del_verb T_FLOWTABLE obj_ref ft_open ft_block block_end
					{ $$ = cmd_on($1, AW_FLOWTABLE, $3); $$->flowtable = name_ft(p, $3->name, $3->name_loc, @$); }
|	del_verb obj_kind obj_ref	{ $$ = cmd_on($1, AW_OBJECT, $3); $$->obj_kind = $2->obj_kind; }
|	del_verb T_TUNNEL obj_ref	{ $$ = cmd_on($1, AW_OBJECT, $3); $$->obj_kind = AO_TUNNEL; }
|	T_RESET obj_kind obj_ref	{ $$ = cmd_on(new_cmd(p, ACMD_RESET), AW_OBJECT, $3); $$->obj_kind = $2->obj_kind; }
|	del_verb obj_kind table_ref T_HANDLE T_NUM	{ $$ = cmd_handle($1, AW_OBJECT, $3, $5.num); $$->obj_kind = $2->obj_kind; }
|	T_RESET T_RULE rule_pos		{ $$ = cmd_on(new_cmd(p, ACMD_RESET), AW_RULE, $3); need_handle(p, $3, @3); }
|	T_RESET T_SET obj_ref		{ $$ = cmd_on(new_cmd(p, ACMD_RESET), AW_SET, $3); }
|	T_RESET T_MAP obj_ref		{ $$ = cmd_on(new_cmd(p, ACMD_RESET), AW_MAP, $3); }
|	T_RESET T_ELEMENT obj_ref elems_expr	{ $$ = cmd_on(new_cmd(p, ACMD_RESET), AW_ELEMENT, $3); $$->elems = $4; }
|	T_RESET T_WORD reset_ref	{ $$ = reset_all(p, $2.a, @2, $3); }
|	T_FLUSH T_RULESET ruleset_ref	{ $$ = cmd_on(new_cmd(p, ACMD_FLUSH), AW_RULESET, $3); }
|	T_FLUSH T_TABLE table_ref	{ $$ = cmd_on(new_cmd(p, ACMD_FLUSH), AW_TABLE, $3); }
|	T_FLUSH T_CHAIN obj_ref		{ $$ = cmd_on(new_cmd(p, ACMD_FLUSH), AW_CHAIN, $3); }
|	T_FLUSH T_SET obj_ref		{ $$ = cmd_on(new_cmd(p, ACMD_FLUSH), AW_SET, $3); }
|	T_FLUSH T_MAP obj_ref		{ $$ = cmd_on(new_cmd(p, ACMD_FLUSH), AW_MAP, $3); }
|	T_FLUSH T_METER obj_ref		{ $$ = cmd_on(new_cmd(p, ACMD_FLUSH), AW_METER, $3); }
|	T_FLUSH T_FLOW T_TABLE obj_ref	{ $$ = cmd_on(new_cmd(p, ACMD_FLUSH), AW_METER, $4); }
|	T_RENAME T_CHAIN obj_ref identifier
					{ $$ = cmd_on(new_cmd(p, ACMD_RENAME), AW_CHAIN, $3); $$->new_name = $4.a; }
|	T_QUERY				{ $$ = query(p, $1, @1); }
;

num_opt:
	T_HANDLE T_NUM			{ $$ = $2; $$.b = NULL; }
|	family T_HANDLE T_NUM		{ $$ = $3; $$.b = $1.a; }
;
reset_ref:
	ruleset_ref
|	table_ref
|	obj_ref
|	T_TABLE table_ref		{ $$ = $2; }
|	T_CHAIN obj_ref			{ $$ = $2; }
;

obj_kind:
	T_COUNTER			{ $$ = obj_is(p, AO_COUNTER); }
|	T_QUOTA				{ $$ = obj_is(p, AO_QUOTA); }
|	T_LIMIT				{ $$ = obj_is(p, AO_LIMIT); }
|	T_SECMARK			{ $$ = obj_is(p, AO_SECMARK); }
|	T_SYNPROXY			{ $$ = obj_is(p, AO_SYNPROXY); }
|	T_CTKEY				{ $$ = obj_is(p, ct_object(p, $1, @1)); }
;

/* -- blocks -- */

table_open: '{'				{ p->table = new_table(p); block_open(p, @1, false); } ;
chain_open: '{'				{ p->chain = arena_new_of(p->nodes, struct ast_chain); block_open(p, @1, false); } ;
set_open: '{'				{ p->set = arena_new_of(p->nodes, struct ast_set); block_open(p, @1, false); } ;
ft_open: '{'				{ p->ft = arena_new_of(p->nodes, struct ast_flowtable); block_open(p, @1, false); } ;
obj_open: '{'				{ block_open(p, @1, false); } ;
block_end: '}'				{ block_close(p); } ;

table_block:
	%empty
|	table_block sep
|	table_block common
|	table_block error sep		{ yyerrok; }
|	table_block T_FLAGS table_flags sep
|	table_block T_COMMENT string sep	{ set_comment(p, &p->table->comment, @3, $3.a); }
|	table_block T_CHAIN identifier chain_open chain_block block_end sep
					{ *vec_push(p->nodes, &p->table->chains) = name_chain(p, $3.a, @3, loc_span(@2, @6)); }
|	table_block T_SET identifier set_open set_block block_end sep
					{ *vec_push(p->nodes, &p->table->sets) = name_set(p, $3.a, @3, loc_span(@2, @6), false); }
|	table_block T_MAP identifier set_open set_block block_end sep
					{ *vec_push(p->nodes, &p->table->sets) = name_set(p, $3.a, @3, loc_span(@2, @6), true); }
|	table_block T_FLOWTABLE identifier ft_open ft_block block_end sep
					{ *vec_push(p->nodes, &p->table->flowtables) = name_ft(p, $3.a, @3, loc_span(@2, @6)); }
|	table_block obj_kind identifier obj_open obj_block block_end sep
					{ add_object(p, $2->obj_kind, $3.a, @3, loc_span(@2, @6), loc_span(@4, @6)); }
|	table_block tunnel_head identifier obj_open tunnel_block block_end sep
					{ add_object(p, AO_TUNNEL, $3.a, @3, loc_span(@2, @6), loc_span(@4, @6)); }
;
tunnel_head: T_TUNNEL			{ obj_is(p, AO_TUNNEL); } ;
table_flags:
	T_WORD				{ table_flag(p, $1.a, @1); }
|	table_flags ',' T_WORD		{ table_flag(p, $3.a, @3); }
;

chain_block:
	%empty
|	chain_block sep
|	chain_block common
|	chain_block error sep		{ yyerrok; }
|	chain_block hook_spec sep
|	chain_block T_POLICY policy_value sep	{ chain_policy(p, $3); }
|	chain_block T_FLAGS T_OFFLOAD sep	{ p->chain->hw_offload = true; }
|	chain_block T_COMMENT string sep	{ set_comment(p, &p->chain->comment, @3, $3.a); }
|	chain_block T_DEVICES '=' dev_expr sep	{ p->chain->devices = $4; }
|	chain_block rule sep		{ *vec_push(p->nodes, &p->chain->rules) = $2; }
;
hook_spec:
	T_TYPE T_WORD T_HOOK T_WORD dev_spec T_PRIORITY prio
					{ chain_hook(p, $2.a, @2, $4.a, @4, $7, @$); }
;
dev_spec:
	%empty
|	T_DEVICE dev_item		{ p->chain->devices = $2; }
|	T_DEVICES '=' dev_expr		{ p->chain->devices = $3; }
;
dev_expr:
	'{' dev_list '}'		{ $$ = $2; $$->loc = @$; }
|	T_VAR				{ $$ = scope_var(p, @1, $1.a); }
;
dev_list:
	nls dev_item nls		{ $$ = mk(p, AX_LIST, @2); $$->list = arena_new_of(p->nodes, struct ast_list_body); *vec_push(p->nodes, &$$->list->items) = $2; }
|	dev_list ',' nls		{ $$ = $1; }
|	dev_list ',' nls dev_item nls	{ $$ = $1; *vec_push(p->nodes, &$$->list->items) = $4; }
;
dev_item:
	T_WORD				{ $$ = mk_text(p, AX_STRING, @1, $1.a); }
|	T_STRING			{ $$ = quoted(p, @1, $1.a); }
|	T_GLOB				{ $$ = glob_value(p, @1, $1.a); }
|	T_SYM				{ $$ = mk_text(p, AX_STRING, @1, $1.a); }
|	T_VAR				{ $$ = scope_var(p, @1, $1.a); }
;
prio:
	T_NUM				{ $$ = prio_num(p, @$, $1, false); }
|	'-' T_NUM			{ $$ = prio_num(p, @$, $2, true); }
|	T_VAR				{ $$ = prio_name(p, @$, scope_var(p, @1, $1.a), NULL, false); }
|	T_WORD				{ $$ = prio_name(p, @$, mk_text(p, AX_SYMBOL, @1, $1.a), NULL, false); }
|	T_WORD '+' T_NUM		{ $$ = prio_name(p, @$, mk_text(p, AX_SYMBOL, @1, $1.a), &$3, false); }
|	T_WORD '-' T_NUM		{ $$ = prio_name(p, @$, mk_text(p, AX_SYMBOL, @1, $1.a), &$3, true); }
;
policy_value:
	T_ACCEPT			{ $$ = mk_text(p, AX_SYMBOL, @1, "accept"); }
|	T_DROP				{ $$ = mk_text(p, AX_SYMBOL, @1, "drop"); }
|	T_VAR				{ $$ = scope_var(p, @1, $1.a); }
;

set_block:
	%empty
|	set_block sep
|	set_block common
|	set_block error sep		{ yyerrok; }
|	set_block T_TYPE type_list sep	{ set_type(p, $3, NULL); }
|	set_block T_TYPE type_list ':' type_list sep	{ set_type(p, $3, $5); }
|	set_block T_TYPE type_list ':' T_INTERVAL type_list sep	{ set_type(p, $3, $6); $6->interval = true; }
|	set_block T_TYPEOF concat_expr sep	{ set_type(p, typeof_type(p, $3), NULL); }
|	set_block T_TYPEOF concat_expr ':' concat_expr sep	{ set_type(p, typeof_type(p, $3), typeof_data(p, $5)); }
|	set_block T_TYPEOF concat_expr ':' T_INTERVAL concat_expr sep	{ set_typeof_interval(p, $3, $6); }
|	set_block T_TYPEOF concat_expr ':' obj_word sep	{ set_type(p, typeof_type(p, $3), NULL); p->set->obj = $5; }
|	set_block T_FLAGS set_flags sep	{ set_flags_line(p, (uint32_t)$3); }
|	set_block T_TIMEOUT time_ms sep	{ p->set->timeout = $3; p->set->has_timeout = true; }
|	set_block T_GC_INTERVAL time_ms sep	{ p->set->gc_interval = $3; p->set->has_gc = true; }
|	set_block T_SIZE T_NUM sep	{ p->set->size = num32(p, @3, $3, UINT32_MAX, "size"); p->set->has_size = true; }
|	set_block T_POLICY T_WORD sep	{ set_policy(p, @3, $3.a); }
|	set_block T_AUTOMERGE		{ p->set->auto_merge = true; }
|	set_block T_ELEMENTS '=' elems_expr	{ set_elems(p, $4); }
|	set_block T_COMMENT string sep	{ set_comment(p, &p->set->comment, @3, $3.a); }
|	set_block stateful_list sep
;
stateful_list:
	stateful			{ *vec_push(p->nodes, &p->set->stmts) = $1; }
|	stateful_list stateful		{ *vec_push(p->nodes, &p->set->stmts) = $2; }
;
obj_word:
	T_COUNTER			{ $$ = $1.a; }
|	T_QUOTA				{ $$ = $1.a; }
|	T_LIMIT				{ $$ = $1.a; }
|	T_SECMARK			{ $$ = $1.a; }
|	T_SYNPROXY			{ $$ = $1.a; }
|	T_TUNNEL			{ $$ = "tunnel"; }
;
type_list:
	T_WORD				{ $$ = type_add(p, NULL, $1.a, @1); }
|	type_list '.' T_WORD		{ $$ = type_add(p, $1, $3.a, @3); }
;
set_flags:
	set_flag
|	set_flags ',' set_flag		{ $$ = $1 | $3; }
;
set_flag:
	T_CONSTANT			{ $$ = ASET_CONSTANT; }
|	T_INTERVAL			{ $$ = ASET_INTERVAL; }
|	T_TIMEOUT			{ $$ = ASET_TIMEOUT; }
|	T_DYNAMIC			{ $$ = ASET_DYNAMIC; }
;
time_ms:
	T_SYM				{ if (!parse_time_ms(p, @1, $1.a, &$$)) $$ = 0; }
|	T_STRING			{ if (!parse_time_ms(p, @1, $1.a, &$$)) $$ = 0; }
;

ft_block:
	%empty
|	ft_block sep
|	ft_block common
|	ft_block error sep		{ yyerrok; }
|	ft_block T_HOOK T_WORD T_PRIORITY prio sep	{ check_hook(p, @3, $3.a); p->ft->hook = $3.a; p->ft->prio = *$5; }
|	ft_block T_DEVICES '=' dev_expr sep	{ p->ft->devices = $4; }
|	ft_block T_COUNTER		{ p->ft->has_counter = true; }
|	ft_block T_FLAGS T_OFFLOAD sep	{ p->ft->offload = true; }
;

obj_block:
	%empty
|	obj_block sep
|	obj_block common
|	obj_block error sep		{ yyerrok; }
|	obj_block obj_item
|	obj_block ct_item sep
;
obj_config:
	%empty
|	obj_config obj_item
;
obj_item:
	T_PACKETS T_NUM T_BYTES T_NUM	{ obj_wants(p, AO_COUNTER, @1); p->obj->counter = (struct ast_counter){ $2.num, $4.num }; }
|	quota_bytes quota_used		{ obj_wants(p, AO_QUOTA, @1); p->obj->quota.bytes = $1; p->obj->quota.used = $2; }
|	T_OVER quota_bytes quota_used	{ obj_wants(p, AO_QUOTA, @1); p->obj->quota = (struct ast_quota){ $2, $3, true }; }
|	T_UNTIL quota_bytes quota_used	{ obj_wants(p, AO_QUOTA, @1); p->obj->quota = (struct ast_quota){ $2, $3, false }; }
|	limit_cfg			{ obj_wants(p, AO_LIMIT, @1); p->obj->limit = *$1; }
|	T_MSS T_NUM			{ obj_wants(p, AO_SYNPROXY, @1); p->obj->synproxy.mss = num32(p, @2, $2, 65535, "mss"); p->obj->synproxy.has_mss = true; }
|	T_WSCALE T_NUM			{ obj_wants(p, AO_SYNPROXY, @1); p->obj->synproxy.wscale = num32(p, @2, $2, 14, "wscale"); p->obj->synproxy.has_wscale = true; }
|	T_TIMESTAMP			{ obj_wants(p, AO_SYNPROXY, @1); p->obj->synproxy.timestamp = true; }
|	T_SACK_PERM			{ obj_wants(p, AO_SYNPROXY, @1); p->obj->synproxy.sack_perm = true; }
|	T_STRING			{ obj_wants(p, AO_SECMARK, @1); p->obj->secmark = $1.a; }
|	T_COMMENT string		{ set_comment(p, &p->obj->comment, @2, $2.a); }
;
ct_item:
	T_TYPE T_STRING T_WORD T_PROTO	{ ct_helper_type(p, $2.a, $3.a, @3, $4.a, @4); }
|	T_WORD T_PROTO			{ ct_word(p, $1.a, @1, $2.a, @2, NULL); }
|	T_WORD T_FAMILY			{ ct_word(p, $1.a, @1, $2.a, @2, NULL); }
|	T_WORD T_NUM			{ ct_word(p, $1.a, @1, NULL, @2, mk_num(p, @2, $2)); }
|	T_WORD T_VAR			{ ct_word(p, $1.a, @1, NULL, @2, scope_var(p, @2, $2.a)); }
|	T_TIMEOUT time_ms		{ obj_wants(p, AO_CT_EXPECT, @1); p->obj->ct.timeout = $2; }
|	T_SIZE T_NUM			{ obj_wants(p, AO_CT_EXPECT, @1); p->obj->ct.size = num32(p, @2, $2, 255, "size"); }
|	T_POLICY '=' '{' nls ct_states '}'	{ obj_wants(p, AO_CT_TIMEOUT, @1); }
;
ct_states:
	ct_state nls
|	ct_states ',' nls ct_state nls
;
ct_state:
	T_WORD ':' T_NUM		{ ct_state(p, $1.a, @1, $3.num); }
|	T_WORD ':' T_SYM		{ uint64_t ms; if (parse_time_ms(p, @3, $3.a, &ms)) ct_state(p, $1.a, @1, ms / 1000); }
;
tunnel_block:
	%empty
|	tunnel_block tunnel_tok
|	tunnel_block '{' tunnel_block '}'
|	tunnel_block error sep		{ yyerrok; }
|	tunnel_block T_COMMENT string	{ set_comment(p, &p->obj->comment, @3, $3.a); }
;
tunnel_tok:
	sep | T_WORD | T_NUM | T_SYM | T_STRING | T_PROTO | T_PAYLOAD | T_FLAGS | T_TYPE | T_NUMGEN | ',' | T_METAKEY | T_VAR | T_INDEX
;

/* -- rules -- */

rule:
	stmts				{ $$ = $1; $$->loc = @$; }
|	stmts T_COMMENT string		{ $$ = $1; $$->loc = @$; $$->comment_loc = @3; set_comment(p, &$$->comment, @3, $3.a); }
;
stmts:
	stmt				{ $$ = arena_new_of(p->nodes, struct ast_rule); *vec_push(p->nodes, &$$->stmts) = $1; }
|	stmts stmt			{ $$ = $1; *vec_push(p->nodes, &$$->stmts) = $2; }
;

stmt:
	verdict_expr			{ $$ = mk_stmt(p, AS_VERDICT, @$); $$->expr = $1; }
|	concat_expr T_VMAP vmap_set	{ $$ = mk_stmt(p, AS_VMAP, @$); $$->expr = mk_map(p, AX_VMAP, @$, $1, $3); }
|	chain_stmt
|	match_expr			{ $$ = mk_stmt(p, AS_MATCH, @$); $$->expr = $1; }
|	stateful
|	objref_stmt
|	field_expr T_SET stmt_expr	{ $$ = mk_assign(p, @$, $1, $3); }
|	T_NOTRACK			{ $$ = mk_stmt(p, AS_NOTRACK, @$); }
|	T_FLOW T_ADD T_SETREF		{ $$ = mk_stmt(p, AS_FLOW, @$); $$->name = $3.a; }
|	T_FLOW T_OFFLOAD T_SETREF	{ $$ = mk_stmt(p, AS_FLOW, @$); $$->name = $3.a; }
|	log_stmt
|	T_REJECT			{ $$ = mk_stmt(p, AS_REJECT, @$); }
|	T_REJECT T_WITH T_PROTO T_TYPE reject_code	{ $$ = reject(p, @$, $3, @3, $5); }
|	T_REJECT T_WITH T_PROTO reject_code	{ $$ = reject(p, @$, $3, @3, $4); }
|	T_REJECT T_WITH T_WORD T_TYPE reject_code	{ $$ = reject(p, @$, $3, @3, $5); }
|	T_REJECT T_WITH T_WORD reject_code	{ $$ = reject(p, @$, $3, @3, $4); }
|	T_REJECT T_WITH T_PROTO T_RESET	{ $$ = reject(p, @$, $3, @3, NULL); }
|	nat_stmt
|	T_TPROXY T_TO nat_dest		{ $$ = tproxy(p, @$, NULL, $3); }
|	T_TPROXY T_PROTO T_TO nat_dest	{ check_ip(p, @2, $2.a); $$ = tproxy(p, @$, $2.a, $4); }
|	queue_stmt
|	synproxy_stmt
|	T_DUP T_TO stmt_expr		{ $$ = mk_stmt(p, AS_DUP, @$); $$->dup.to = $3; }
|	T_DUP T_TO stmt_expr T_DEVICE stmt_expr	{ $$ = mk_stmt(p, AS_DUP, @$); $$->dup.to = $3; $$->dup.dev = $5; }
|	T_FWD T_TO stmt_expr		{ $$ = mk_stmt(p, AS_FWD, @$); $$->dup.dev = $3; }
|	T_FWD T_PROTO T_TO stmt_expr T_DEVICE stmt_expr
					{ $$ = mk_stmt(p, AS_FWD, @$); check_ip(p, @2, $2.a); $$->dup.family = $2.a; $$->dup.to = $4; $$->dup.dev = $6; }
|	dyn_stmt
|	meter_stmt
|	T_RESET T_TCP_OPTION T_OPTFIELD	{ $$ = mk_stmt(p, AS_RESET_OPT, @$); $$->set.target = option(p, AX_TCPOPT, loc_span(@2, @3), $3); }
|	T_RESET T_TCP_OPTION T_NUM	{ $$ = mk_stmt(p, AS_RESET_OPT, @$); $$->set.target = mk_ext(p, AX_TCPOPT, loc_span(@2, @3), $3.a, NULL); }
|	T_XT T_WORD string		{ $$ = mk_stmt(p, AS_XT, @$); $$->xt.type = $2.a; $$->xt.name = $3.a; }
|	T_XT T_WORD string '=' T_NUM T_NUM string
					{ $$ = mk_stmt(p, AS_XT, @$); $$->xt.type = $2.a; $$->xt.name = $3.a; $$->xt.rev = $5.num; $$->xt.len = $6.num; $$->xt.info = $7.a; }
;

chain_stmt:
	verdict_jump anon_open chain_block block_end	{ $$ = anon_chain(p, @$, $1); }
;
anon_open: '{'				{ block_open(p, @1, true); p->chain = arena_new_of(p->nodes, struct ast_chain); p->chain->loc = @1; } ;
verdict_jump:
	T_JUMP				{ $$ = 0; }
|	T_GOTO				{ $$ = 1; }
;
verdict_expr:
	T_ACCEPT			{ $$ = mk_verdict(p, @$, AV_ACCEPT, NULL); }
|	T_DROP				{ $$ = mk_verdict(p, @$, AV_DROP, NULL); }
|	T_CONTINUE			{ $$ = mk_verdict(p, @$, AV_CONTINUE, NULL); }
|	T_RETURN			{ $$ = mk_verdict(p, @$, AV_RETURN, NULL); }
|	verdict_jump chain_name		{ $$ = mk_verdict(p, @$, $1 ? AV_GOTO : AV_JUMP, $2); }
;
chain_name:
	identifier			{ $$ = mk_text(p, AX_SYMBOL, @1, $1.a); }
|	T_VAR				{ $$ = scope_var(p, @1, $1.a); }
;
vmap_set:
	set_expr
|	set_ref
;
set_ref:
	T_SETREF			{ $$ = mk_text(p, AX_SETREF, @1, $1.a); }
|	T_VAR				{ $$ = scope_var(p, @1, $1.a); }
;

/* Stateful statements: they stand in rules, in sets and behind elements. */
stateful:
	counter_stmt
|	limit_stmt
|	T_QUOTA quota_bytes quota_used	{ $$ = mk_stmt(p, AS_QUOTA, @$); $$->quota = (struct ast_quota){ $2, $3, false }; }
|	T_QUOTA T_UNTIL quota_bytes quota_used	{ $$ = mk_stmt(p, AS_QUOTA, @$); $$->quota = (struct ast_quota){ $3, $4, false }; }
|	T_QUOTA T_OVER quota_bytes quota_used	{ $$ = mk_stmt(p, AS_QUOTA, @$); $$->quota = (struct ast_quota){ $3, $4, true }; }
|	T_LAST				{ $$ = mk_stmt(p, AS_LAST, @$); }
|	T_LAST T_USED T_NEVER		{ $$ = mk_stmt(p, AS_LAST, @$); }
|	T_LAST T_USED time_ms		{ $$ = mk_stmt(p, AS_LAST, @$); $$->last = (struct ast_last){ true, $3 }; }
|	T_CT_COUNT bool_over T_NUM	{ $$ = mk_stmt(p, AS_CONNLIMIT, @$); $$->connlimit.count = num32(p, @3, $3, UINT32_MAX, "count"); $$->connlimit.over = $2; }
;
bool_over:
	%empty				{ $$ = 0; }
|	T_OVER				{ $$ = 1; }
;
counter_stmt:
	T_COUNTER			{ $$ = mk_stmt(p, AS_COUNTER, @$); }
|	T_COUNTER counter_args		{ $$ = $2; $$->loc = @$; }
;
counter_args:
	T_PACKETS T_NUM			{ $$ = mk_stmt(p, AS_COUNTER, @$); $$->counter.packets = $2.num; }
|	T_BYTES T_NUM			{ $$ = mk_stmt(p, AS_COUNTER, @$); $$->counter.bytes = $2.num; }
|	counter_args T_PACKETS T_NUM	{ $$ = $1; $$->counter.packets = $3.num; }
|	counter_args T_BYTES T_NUM	{ $$ = $1; $$->counter.bytes = $3.num; }
;
quota_bytes: T_NUM T_WORD		{ if (!parse_bytes(p, @2, $1.num, $2.a, &$$)) $$ = 0; } ;
quota_used:
	%empty				{ $$ = 0; }
|	T_USED quota_bytes		{ $$ = $2; }
;
limit_stmt: T_LIMIT limit_cfg		{ $$ = mk_stmt(p, AS_LIMIT, @$); $$->limit = $2; } ;
limit_cfg:
	T_RATE limit_rate		{ $$ = limit_done(p, $2, @$); }
|	T_RATE T_UNTIL limit_rate	{ $$ = limit_done(p, $3, @$); }
|	T_RATE T_OVER limit_rate	{ $$ = limit_done(p, $3, @$); $$->over = true; }
|	T_RATE limit_rate T_BURST T_NUM T_PACKETS	{ $$ = limit_burst(p, $2, @$, $4.num, NULL, @5); }
|	T_RATE T_UNTIL limit_rate T_BURST T_NUM T_PACKETS	{ $$ = limit_burst(p, $3, @$, $5.num, NULL, @6); }
|	T_RATE T_OVER limit_rate T_BURST T_NUM T_PACKETS	{ $$ = limit_burst(p, $3, @$, $5.num, NULL, @6); $$->over = true; }
|	T_RATE limit_rate T_BURST T_NUM T_WORD	{ $$ = limit_burst(p, $2, @$, $4.num, $5.a, @5); }
|	T_RATE T_UNTIL limit_rate T_BURST T_NUM T_WORD	{ $$ = limit_burst(p, $3, @$, $5.num, $6.a, @6); }
|	T_RATE T_OVER limit_rate T_BURST T_NUM T_WORD	{ $$ = limit_burst(p, $3, @$, $5.num, $6.a, @6); $$->over = true; }
;
limit_rate:
	T_NUM '/' T_WORD		{ $$ = arena_new_of(p->nodes, struct ast_limit); $$->rate = $1.num; $$->unit = parse_unit(p, @3, $3.a); }
|	T_NUM T_WORD			{ $$ = arena_new_of(p->nodes, struct ast_limit); parse_rate(p, @2, $1.num, $2.a, $$); }
|	T_NUM T_WORD '/' T_WORD		{ $$ = arena_new_of(p->nodes, struct ast_limit); $$->bytes = true; $$->unit = parse_unit(p, @4, $4.a); parse_bytes(p, @2, $1.num, $2.a, &$$->rate); }
;

obj_name: T_NAME ;
objref_stmt:
	T_COUNTER obj_name stmt_expr	{ $$ = objref(p, @$, "counter", $3); }
|	T_LIMIT obj_name stmt_expr	{ $$ = objref(p, @$, "limit", $3); }
|	T_QUOTA obj_name stmt_expr	{ $$ = objref(p, @$, "quota", $3); }
|	T_SYNPROXY obj_name stmt_expr	{ $$ = objref(p, @$, "synproxy", $3); }
|	T_TUNNEL obj_name stmt_expr	{ $$ = objref(p, @$, "tunnel", $3); }
;

log_stmt:
	T_LOG				{ $$ = new_log(p, @$); }
|	T_LOG log_args			{ $$ = $2; $$->loc = @$; }
;
log_args:
	log_arg				{ $$ = new_log(p, @$); log_arg(p, $$); }
|	log_args log_arg		{ $$ = $1; log_arg(p, $$); }
;
log_arg:
	T_PREFIX string			{ p->log = (struct ast_log){ .prefix = log_prefix(p, @2, $2.a) }; }
|	T_GROUP T_NUM			{ p->log = (struct ast_log){ .group = num32(p, @2, $2, 65535, "group"), .has_group = true }; }
|	T_SNAPLEN T_NUM			{ p->log = (struct ast_log){ .snaplen = num32(p, @2, $2, UINT32_MAX, "snaplen"), .has_snaplen = true }; }
|	T_QTHRESHOLD T_NUM		{ p->log = (struct ast_log){ .qthreshold = num32(p, @2, $2, 65535, "queue-threshold"), .has_qthreshold = true }; }
|	T_LEVEL string			{ p->log = (struct ast_log){ .level = log_level(p, @2, $2.a) }; }
|	T_LOGFLAGS			{ p->log = (struct ast_log){ .flags = (uint32_t)$1.num }; }
;

reject_code:
	T_WORD				{ $$ = mk_text(p, AX_SYMBOL, @1, $1.a); }
|	T_NUM				{ $$ = mk_num(p, @1, $1); }
|	T_VAR				{ $$ = scope_var(p, @1, $1.a); }
;

nat_stmt:
	T_SNAT nat_args last_nat_flags	{ $$ = nat(p, @$, ANAT_SNAT, $2, $3); }
|	T_DNAT nat_args last_nat_flags	{ $$ = nat(p, @$, ANAT_DNAT, $2, $3); }
|	T_MASQUERADE opt_nat_flags	{ $$ = nat(p, @$, ANAT_MASQ, NULL, $2); }
|	T_MASQUERADE T_TO ':' stmt_expr opt_nat_flags	{ $$ = nat(p, @$, ANAT_MASQ, new_nat(p, NULL, $4), $5); }
|	T_REDIRECT opt_nat_flags	{ $$ = nat(p, @$, ANAT_REDIR, NULL, $2); }
|	T_REDIRECT T_TO stmt_expr opt_nat_flags	{ $$ = nat(p, @$, ANAT_REDIR, new_nat(p, NULL, $3), $4); }
|	T_REDIRECT T_TO ':' stmt_expr opt_nat_flags	{ $$ = nat(p, @$, ANAT_REDIR, new_nat(p, NULL, $4), $5); }
;
nat_dest:
	stmt_expr			{ $$ = new_nat(p, $1, NULL); }
|	stmt_expr ':' stmt_expr		{ $$ = new_nat(p, $1, $3); }
|	':' stmt_expr			{ $$ = new_nat(p, NULL, $2); }
;
nat_args:
	nat_dest
|	T_TO nat_dest			{ $$ = $2; }
|	T_PROTO T_TO stmt_expr		{ $$ = new_nat(p, $3, NULL); check_ip(p, @1, $1.a); $$->family = $1.a; }
|	T_PROTO T_TO stmt_expr ':' stmt_expr	{ $$ = new_nat(p, $3, $5); check_ip(p, @1, $1.a); $$->family = $1.a; }
|	T_PROTO T_ADDR '.' T_PORT T_TO stmt_expr	{ $$ = new_nat(p, $6, NULL); check_ip(p, @1, $1.a); $$->family = $1.a; $$->addr_port = true; }
|	T_PROTO T_INTERVAL T_TO stmt_expr	{ $$ = new_nat(p, $4, NULL); check_ip(p, @1, $1.a); $$->family = $1.a; $$->interval = true; }
|	T_INTERVAL T_TO stmt_expr	{ $$ = new_nat(p, $3, NULL); $$->interval = true; }
|	T_PROTO T_PREFIX T_TO stmt_expr	{ $$ = new_nat(p, $4, NULL); check_ip(p, @1, $1.a); $$->family = $1.a; $$->prefix = true; $$->flags = ANAT_NETMAP; }
|	T_PREFIX T_TO stmt_expr		{ $$ = new_nat(p, $3, NULL); $$->prefix = true; $$->flags = ANAT_NETMAP; }
;
opt_nat_flags:
	%empty				{ $$ = 0; }
|	nat_flags
;
last_nat_flags:
	%empty				{ $$ = 0; }
|	last_nat_flags nat_flags	{ $$ = $2; }
;
nat_flags:
	nat_flag
|	nat_flags ',' nat_flag		{ $$ = $1 | $3; }
;
nat_flag:
	T_RANDOM			{ $$ = ANAT_RANDOM; }
|	T_FULLY_RANDOM			{ $$ = ANAT_FULLY_RANDOM; }
|	T_PERSISTENT			{ $$ = ANAT_PERSISTENT; }
;

queue_stmt:
	T_QUEUE				{ $$ = mk_stmt(p, AS_QUEUE, @$); }
|	T_QUEUE queue_args		{ $$ = $2; $$->loc = @$; }
|	T_QUEUE T_TO queue_dest		{ $$ = mk_stmt(p, AS_QUEUE, @$); $$->queue.num = $3; }
|	T_QUEUE T_FLAGS queue_flags T_TO queue_dest	{ $$ = mk_stmt(p, AS_QUEUE, @$); $$->queue.num = $5; $$->queue.flags = (uint32_t)$3; }
|	T_QUEUE T_FLAGS queue_flags T_QNUM queue_num	{ $$ = mk_stmt(p, AS_QUEUE, @$); $$->queue.num = $5; $$->queue.flags = (uint32_t)$3; }
;
queue_args:
	T_QNUM queue_num		{ $$ = mk_stmt(p, AS_QUEUE, @$); $$->queue.num = $2; }
|	queue_flags			{ $$ = mk_stmt(p, AS_QUEUE, @$); $$->queue.flags = (uint32_t)$1; }
|	queue_args T_QNUM queue_num	{ $$ = $1; $$->queue.num = $3; }
|	queue_args queue_flags		{ $$ = $1; $$->queue.flags |= (uint32_t)$2; }
;
qv:
	T_NUM				{ $$ = mk_num(p, @1, $1); }
|	T_VAR				{ $$ = scope_var(p, @1, $1.a); }
;
queue_num:
	qv
|	qv '-' qv			{ $$ = mk_range(p, @$, $1, $3); }
;
queue_dest:
	queue_num
|	T_NUMGEN T_MOD T_NUM		{ $$ = mk_numgen(p, @$, $1, $3, @3, NULL); }
|	T_NUMGEN T_MOD T_NUM T_OFFSET T_NUM	{ $$ = mk_numgen(p, @$, $1, $3, @3, &$5); }
|	hash_expr
|	map_expr
;
queue_flags:
	queue_flag
|	queue_flags ',' queue_flag	{ $$ = $1 | $3; }
;
queue_flag:
	T_BYPASS			{ $$ = AQUEUE_BYPASS; }
|	T_FANOUT			{ $$ = AQUEUE_FANOUT; }
;

synproxy_stmt:
	T_SYNPROXY			{ $$ = mk_stmt(p, AS_SYNPROXY, @$); }
|	T_SYNPROXY synproxy_args	{ $$ = $2; $$->loc = @$; }
;
synproxy_args:
	synproxy_arg			{ $$ = mk_stmt(p, AS_SYNPROXY, @$); synproxy_arg(p, $$); }
|	synproxy_args synproxy_arg	{ $$ = $1; synproxy_arg(p, $$); }
;
synproxy_arg:
	T_MSS T_NUM			{ p->synproxy = (struct ast_synproxy){ .mss = num32(p, @2, $2, 65535, "mss"), .has_mss = true }; }
|	T_WSCALE T_NUM			{ p->synproxy = (struct ast_synproxy){ .wscale = num32(p, @2, $2, 14, "wscale"), .has_wscale = true }; }
|	T_TIMESTAMP			{ p->synproxy = (struct ast_synproxy){ .timestamp = true }; }
|	T_SACK_PERM			{ p->synproxy = (struct ast_synproxy){ .sack_perm = true }; }
;

dyn_op:
	T_ADD				{ $$ = ADYN_ADD; }
|	T_UPDATE			{ $$ = ADYN_UPDATE; }
|	T_DELETE			{ $$ = ADYN_DELETE; }
;
dyn_stmt:
	T_SET dyn_op concat_expr elem_opts set_ref
					{ $$ = dynset(p, @$, $2, $5, (struct ast_elem){ $3, NULL, $4 }); }
|	dyn_op set_ref '{' nls dyn_elem nls '}'
					{ $$ = dynset(p, @$, $1, $2, $5); }
;
dyn_elem:
	concat_expr elem_opts		{ $$ = (struct ast_elem){ $1, NULL, $2 }; }
|	concat_expr elem_opts ':' dyn_data elem_opts
					{ $$ = (struct ast_elem){ $1, $4, opts_join(p, $2, $5) }; }
;
dyn_data:
	concat_expr
|	map_expr
|	verdict_expr
;
meter_stmt:
	T_METER identifier '{' dyn_elem '}'	{ $$ = meter(p, @$, $2.a, NULL, @2, $4); }
|	T_METER identifier T_SIZE T_NUM '{' dyn_elem '}'	{ $$ = meter(p, @$, $2.a, &$4, @4, $6); }
|	T_FLOW T_TABLE identifier '{' dyn_elem '}'	{ $$ = meter(p, @$, $3.a, NULL, @3, $5); }
;

/* -- expressions: left of an operator -- */

value:
	T_WORD				{ $$ = mk_text(p, AX_SYMBOL, @1, $1.a); }
|	T_SYM				{ $$ = mk_text(p, AX_SYMBOL, @1, $1.a); }
|	T_NUM				{ $$ = mk_num(p, @1, $1); }
|	T_STRING			{ $$ = quoted(p, @1, $1.a); }
|	T_GLOB				{ $$ = glob_value(p, @1, $1.a); }
|	T_VAR				{ $$ = scope_var(p, @1, $1.a); }
;
kw_value:
	T_PROTO				{ $$ = mk_text(p, AX_SYMBOL, @1, $1.a); }
|	T_SNAT				{ $$ = mk_text(p, AX_SYMBOL, @1, $1.a); }
|	T_DNAT				{ $$ = mk_text(p, AX_SYMBOL, @1, $1.a); }
|	T_REDIRECT			{ $$ = mk_text(p, AX_SYMBOL, @1, $1.a); }
|	T_RESET				{ $$ = mk_text(p, AX_SYMBOL, @1, $1.a); }
|	T_DESTROY			{ $$ = mk_text(p, AX_SYMBOL, @1, $1.a); }
|	T_LAST				{ $$ = mk_text(p, AX_SYMBOL, @1, $1.a); }
;
boolean:
	T_EXISTS			{ $$ = mk(p, AX_EXISTS, @1); $$->boolean.yes = true; }
|	T_MISSING			{ $$ = mk(p, AX_EXISTS, @1); }
;

/* What a packet, its meta data or the kernel says; what can be set, too. */
field_expr:
	T_PAYLOAD			{ $$ = mk(p, AX_PAYLOAD, @$); $$->pay.proto = $1.a; $$->pay.field = $1.b; }
|	T_RAWBASE ',' T_NUM ',' T_NUM	{ $$ = mk_raw(p, @$, $1, $3, @3, $5, @5); }
|	T_INNER inner_expr		{ $$ = mk(p, AX_INNER, @$); $$->inner.tunnel = $1.a; $$->inner.expr = $2; }
|	T_EXTFIELD			{ $$ = mk_ext(p, AX_EXTHDR, @$, $1.a, $1.b); }
|	T_EXTFIELD '[' T_NUM ']'	{ $$ = mk_ext(p, AX_EXTHDR, @$, $1.a, arena_printf(p->arena, "%s[%s]", $1.b, $3.a)); }
|	T_EXTHDR			{ $$ = mk_ext(p, AX_EXTHDR, @$, $1.a, NULL); }
|	T_TCP_OPTION T_OPTFIELD		{ $$ = option(p, AX_TCPOPT, @$, $2); }
|	T_TCP_OPTION T_NUM		{ $$ = mk_ext(p, AX_TCPOPT, @$, $2.a, NULL); check_kind(p, @2, $2); }
|	T_TCP_OPTION T_NUM T_OPTFIELD	{ $$ = mk_ext(p, AX_TCPOPT, @$, $2.a, $3.a); check_kind(p, @2, $2); }
|	T_TCP_OPTION T_RAWOPT ',' T_NUM ',' T_NUM	{ $$ = raw_option(p, @$, $2, $4, @4, $6, @6); }
|	T_IP_OPTION T_OPTFIELD		{ $$ = option(p, AX_IPOPT, @$, $2); }
|	T_SCTP_CHUNK T_OPTFIELD		{ $$ = option(p, AX_SCTP, @$, $2); }
|	T_DCCP_OPTION T_NUM		{ $$ = mk_ext(p, AX_DCCP, @$, $2.a, NULL); check_kind(p, @2, $2); }
|	T_METAKEY			{ $$ = mk(p, AX_META, @$); $$->key.key = $1.a; $$->key.qualified = $1.num; }
|	T_CTKEY				{ $$ = mk(p, AX_CT, @$); $$->ct.key = $1.a; $$->ct.family = $1.b; $$->ct.dir = $1.dir; }
|	T_RTKEY				{ $$ = rt_expr(p, @$, $1); }
|	T_SOCKETKEY			{ $$ = mk(p, AX_SOCKET, @$); $$->sock.key = $1.a; $$->sock.level = (uint32_t)$1.num; }
|	T_OSF				{ $$ = mk(p, AX_OSF, @$); $$->osf.key = $1.a; $$->osf.ttl = $1.b; }
|	T_FIB				{ $$ = mk(p, AX_FIB, @$); $$->fib.flags = (uint32_t)$1.num; $$->fib.result = $1.a ? $1.a : ""; }
|	T_XFRM				{ $$ = mk(p, AX_XFRM, @$); $$->xfrm.key = $1.a; $$->xfrm.family = $1.b; $$->xfrm.spnum = (uint32_t)$1.num; $$->xfrm.out = $1.dir; }
|	T_TUNNELKEY			{ $$ = mk(p, AX_TUNNEL, @$); $$->key.key = $1.a; }
|	T_NUMGEN T_MOD T_NUM		{ $$ = mk_numgen(p, @$, $1, $3, @3, NULL); }
|	T_NUMGEN T_MOD T_NUM T_OFFSET T_NUM	{ $$ = mk_numgen(p, @$, $1, $3, @3, &$5); }
|	hash_expr
;
inner_expr:
	T_PAYLOAD			{ $$ = mk(p, AX_PAYLOAD, @$); $$->pay.proto = $1.a; $$->pay.field = $1.b; }
|	T_METAKEY			{ $$ = mk(p, AX_META, @$); $$->key.key = $1.a; $$->key.qualified = $1.num; }
|	T_TCP_OPTION T_OPTFIELD		{ $$ = option(p, AX_TCPOPT, @$, $2); }
|	T_IP_OPTION T_OPTFIELD		{ $$ = option(p, AX_IPOPT, @$, $2); }
|	T_SCTP_CHUNK T_OPTFIELD		{ $$ = option(p, AX_SCTP, @$, $2); }
;
hash_expr:
	T_JHASH concat_expr T_MOD T_NUM	{ $$ = mk_hash(p, @$, $2, $4, @4, NULL, NULL); }
|	T_JHASH concat_expr T_MOD T_NUM T_OFFSET T_NUM	{ $$ = mk_hash(p, @$, $2, $4, @4, NULL, &$6); }
|	T_JHASH concat_expr T_MOD T_NUM T_SEED T_NUM	{ $$ = mk_hash(p, @$, $2, $4, @4, &$6, NULL); }
|	T_JHASH concat_expr T_MOD T_NUM T_SEED T_NUM T_OFFSET T_NUM	{ $$ = mk_hash(p, @$, $2, $4, @4, &$6, &$8); }
|	T_SYMHASH T_MOD T_NUM		{ $$ = mk_hash(p, @$, NULL, $3, @3, NULL, NULL); }
|	T_SYMHASH T_MOD T_NUM T_OFFSET T_NUM	{ $$ = mk_hash(p, @$, NULL, $3, @3, NULL, &$5); }
;

primary_expr:
	value
|	field_expr
|	'(' basic_expr ')'		{ $$ = closed($2); }
;
shift_expr:
	primary_expr
|	shift_expr "<<" primary_rhs	{ $$ = mk_bin(p, @$, BIN_LSHIFT, $1, $3); }
|	shift_expr ">>" primary_rhs	{ $$ = mk_bin(p, @$, BIN_RSHIFT, $1, $3); }
;
and_expr:
	shift_expr
|	and_expr '&' shift_rhs		{ $$ = mk_bin(p, @$, BIN_AND, $1, $3); }
;
xor_expr:
	and_expr
|	xor_expr '^' and_rhs		{ $$ = mk_bin(p, @$, BIN_XOR, $1, $3); }
;
basic_expr:
	xor_expr
|	basic_expr '|' xor_rhs		{ $$ = mk_bin(p, @$, BIN_OR, $1, $3); }
;
concat_expr:
	basic_expr
|	concat_expr '.' basic_expr	{ $$ = mk_list(p, AX_CONCAT, @$, $1, $3); }
;
map_expr: concat_expr T_MAP rhs_expr	{ $$ = mk_map(p, AX_MAP, @$, $1, $3); } ;

match_expr:
	match_left list_or_rhs		{ check_left(p, $1); $$ = mk_rel(p, @$, REL_IMPLICIT, $1, $2, NULL); }
|	match_left basic_rhs '/' list_rhs	{ $$ = mk_rel(p, @$, REL_FLAGS, $1, $2, $4); }
|	match_left list_rhs '/' list_rhs	{ $$ = mk_rel(p, @$, REL_FLAGS, $1, $2, $4); }
|	match_left rel_op list_or_rhs	{ $$ = mk_rel(p, @$, (enum ast_rel)$2, $1, $3, NULL); }
|	match_left rel_op basic_rhs '/' list_rhs	{ $$ = flag_cmp(p, @$, @2, $1, $2, $3, $5); }
|	match_left rel_op list_rhs '/' list_rhs	{ $$ = flag_cmp(p, @$, @2, $1, $2, $3, $5); }
;
match_left: concat_expr | map_expr | set_expr ;
rel_op:
	"=="				{ $$ = REL_EQ; }
|	"!="				{ $$ = REL_NEQ; }
|	"<"				{ $$ = REL_LT; }
|	"<="				{ $$ = REL_LTE; }
|	">"				{ $$ = REL_GT; }
|	">="				{ $$ = REL_GTE; }
|	'!'				{ $$ = REL_NOT; }
;

/* -- expressions: right of an operator, and elements -- */

primary_rhs:
	value
|	kw_value
|	boolean
|	'(' basic_rhs ')'		{ $$ = closed($2); }
;
shift_rhs:
	primary_rhs
|	shift_rhs "<<" primary_rhs	{ $$ = mk_bin(p, @$, BIN_LSHIFT, $1, $3); }
|	shift_rhs ">>" primary_rhs	{ $$ = mk_bin(p, @$, BIN_RSHIFT, $1, $3); }
;
and_rhs:
	shift_rhs
|	and_rhs '&' shift_rhs		{ $$ = mk_bin(p, @$, BIN_AND, $1, $3); }
;
xor_rhs:
	and_rhs
|	xor_rhs '^' and_rhs		{ $$ = mk_bin(p, @$, BIN_XOR, $1, $3); }
;
basic_rhs:
	xor_rhs
|	basic_rhs '|' xor_rhs		{ $$ = mk_bin(p, @$, BIN_OR, $1, $3); }
;
multi_rhs:
	basic_rhs '/' T_NUM		{ $$ = mk_prefix(p, @$, $1, mk_num(p, @3, $3)); }
|	basic_rhs '-' basic_rhs		{ $$ = mk_range(p, @$, $1, $3); }
;
concat_rhs:
	basic_rhs
|	multi_rhs
|	concat_rhs '.' basic_rhs	{ $$ = mk_list(p, AX_CONCAT, @$, $1, $3); }
|	concat_rhs '.' multi_rhs	{ $$ = mk_list(p, AX_CONCAT, @$, $1, $3); }
;
list_rhs:
	basic_rhs ',' basic_rhs		{ $$ = mk_list(p, AX_LIST, @$, $1, $3); }
|	list_rhs ',' basic_rhs		{ $$ = mk_list(p, AX_LIST, @$, $1, $3); }
;
rhs_expr:
	concat_rhs
|	set_expr
|	T_SETREF			{ $$ = mk_text(p, AX_SETREF, @1, $1.a); }
;
list_or_rhs:
	rhs_expr
|	list_rhs
;

init_expr:
	rhs_expr
|	list_rhs
|	'{' nls '}'			{ $$ = mk_set(p, @$); }
|	'-' T_NUM			{ $$ = mk_negative(p, @$, $2); }
;
elems_expr:
	set_expr
|	T_VAR				{ $$ = scope_var(p, @1, $1.a); }
;
set_expr:
	'{' set_list '}'		{ $$ = $2; $$->loc = @$; }
;
set_list:
	nls elem nls			{ $$ = mk_set(p, @2); set_add(p, $$, $2); }
|	nls T_RUN nls			{ $$ = mk_set(p, @2); set_add(p, $$, (struct ast_elem){ $2.run, NULL, NULL }); }
|	set_list ',' nls		{ $$ = $1; }
|	set_list ',' nls T_RUN nls	{ $$ = $1; set_add(p, $$, (struct ast_elem){ $4.run, NULL, NULL }); }
|	set_list ',' nls elem nls	{ $$ = $1; set_add(p, $$, $4); }
;
elem:
	elem_key elem_opts		{ $$ = (struct ast_elem){ $1, NULL, $2 }; }
|	elem_key elem_opts ':' elem_data elem_opts	{ $$ = (struct ast_elem){ $1, $4, opts_join(p, $2, $5) }; }
;
elem_key:
	concat_rhs
|	set_expr
|	'*'				{ $$ = mk(p, AX_WILDCARD, @1); }
;
elem_data:
	concat_rhs
|	verdict_expr
;
elem_opts:
	%empty				{ $$ = NULL; }
|	elem_opts T_TIMEOUT time_ms	{ $$ = opts_get(p, $1); $$->timeout = $3; $$->has_timeout = true; }
|	elem_opts T_TIMEOUT T_WORD	{ $$ = opts_get(p, $1); timeout_word(p, $$, @3, $3.a); }
|	elem_opts T_EXPIRES time_ms	{ $$ = opts_get(p, $1); $$->expires = $3; $$->has_expires = true; }
|	elem_opts T_COMMENT string	{ $$ = opts_get(p, $1); $$->comment_loc = @3; set_comment(p, &$$->comment, @3, $3.a); }
|	elem_opts stateful		{ $$ = opts_get(p, $1); *vec_push(p->nodes, &$$->stmts) = $2; }
;

/* -- expressions: what a statement sets -- */

sym_st:
	value
|	kw_value
;
primary_st:
	sym_st
|	boolean
|	field_expr			{ check_st(p, $1); $$ = $1; }
|	'(' basic_st ')'		{ $$ = closed($2); }
;
shift_st:
	primary_st
|	shift_st "<<" primary_st	{ $$ = mk_bin(p, @$, BIN_LSHIFT, $1, $3); }
|	shift_st ">>" primary_st	{ $$ = mk_bin(p, @$, BIN_RSHIFT, $1, $3); }
;
and_st:
	shift_st
|	and_st '&' shift_st		{ $$ = mk_bin(p, @$, BIN_AND, $1, $3); }
;
xor_st:
	and_st
|	xor_st '^' and_st		{ $$ = mk_bin(p, @$, BIN_XOR, $1, $3); }
;
basic_st:
	xor_st
|	basic_st '|' xor_st		{ $$ = mk_bin(p, @$, BIN_OR, $1, $3); }
;
concat_st:
	basic_st
|	concat_st '.' primary_st	{ $$ = mk_list(p, AX_CONCAT, @$, $1, $3); }
;
list_st:
	sym_st ',' sym_st		{ $$ = mk_list(p, AX_LIST, @$, $1, $3); }
|	list_st ',' sym_st		{ $$ = mk_list(p, AX_LIST, @$, $1, $3); }
;
stmt_expr:
	concat_st
|	concat_st T_MAP vmap_set	{ $$ = mk_map(p, AX_MAP, @$, $1, $3); }
|	basic_st '/' T_NUM		{ $$ = mk_prefix(p, @$, $1, mk_num(p, @3, $3)); }
|	basic_st '-' basic_st		{ $$ = mk_range(p, @$, $1, $3); }
|	list_st
;

%%

static void add_expected(struct sbuf *b, const char *name, int i, int n)
{
	sb_printf(b, "%s%s", !i ? ", expected " : i == n - 1 ? " or " : ", ", name);
}

/* Says what was found, what was expected, and what may have been meant. */
static int yyreport_syntax_error(const yypcontext_t *ctx, struct parser *p)
{
	yysymbol_kind_t want[6], tok = yypcontext_token(ctx);
	struct loc loc = *yypcontext_location(ctx);
	int n = yypcontext_expected_tokens(ctx, want, (int)ARRAY_SIZE(want) - 1);
	bool junk = tok == YYSYMBOL_T_JUNK;
	struct sbuf b;

	p->recovering = true;
	if (p->done || !p->diag)
		return 0;
	if (syntax_bare_protocol(p))
		return 0;
	sb_init(&b, p->arena);
	sb_puts(&b, "unexpected ");
	if (p->prev_text && !junk)
		sb_printf(&b, "%s", p->prev_text);
	else
		sb_puts(&b, tok == YYSYMBOL_YYEMPTY ? "end of input" : yysymbol_name(tok));
	if (n > 0 && yypcontext_expected_tokens(ctx, want, (int)ARRAY_SIZE(want)) == n)
		for (int i = 0; i < n; i++)
			add_expected(&b, yysymbol_name(want[i]), i, n);
	syntax_error(p, loc, b.s);
	return 0;
}

static void fe_yyerror(struct loc *loc, struct parser *p, const char *msg)
{
	p_error(p, *loc, "the input is nested too deeply");
	p->done = true;
}
