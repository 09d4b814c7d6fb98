// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of scanner and grammar: corners of words, numbers, blocks, recovery and limits. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#include "ast.h"

static struct arena *arena;
static struct diag diag;

static int setup(void **state)
{
	arena = arena_new();
	diag_init(&diag, arena);
	return 0;
}

static int teardown(void **state)
{
	arena_free(arena);
	return 0;
}

static struct ast_script *parse(const char *text)
{
	return ast_parse_text(arena, arena, &diag, "t.nft", text, strlen(text), NULL);
}

/* The one rule of a chain. */
static struct ast_rule *rule(const char *text)
{
	struct ast_script *s =
		parse(arena_printf(arena, "table ip t {\nchain c {\n%s\n}\n}\n", text));

	if (!s)
		diag_flush(&diag, stderr);
	assert_non_null(s);
	assert_int_equal(s->cmds.v[0]->table->chains.v[0]->rules.n, 1);
	return s->cmds.v[0]->table->chains.v[0]->rules.v[0];
}

static struct ast_expr *right(const char *text)
{
	struct ast_rule *r = rule(text);

	assert_int_equal(r->stmts.v[0]->kind, AS_MATCH);
	return r->stmts.v[0]->expr->rel.right;
}

static void refused(const char *text, const char *msg)
{
	diag_init(&diag, arena);
	assert_null(parse(text));
	assert_true(diag.errors > 0);
	if (!strstr(diag.recs.v[0].text, msg))
		fail_msg("%s: \"%s\" without \"%s\"", text, diag.recs.v[0].text, msg);
}

static void test_values(void **state)
{
	assert_int_equal(right("tcp dport 0x16")->num, 22);
	assert_int_equal(right("tcp dport 026")->num, 22);
	assert_string_equal(right("ip saddr 10.0.0.0/8")->prefix.base->text, "10.0.0.0");
	assert_int_equal(right("ip6 saddr ::1-::9")->kind, AX_RANGE);
	assert_string_equal(right("ip6 daddr [fe80::1]")->text, "fe80::1");
	assert_string_equal(right("ether saddr 0:1:2:3:4:5")->text, "0:1:2:3:4:5");
	assert_int_equal(right("iifname \"eth*\"")->kind, AX_GLOB);
	assert_int_equal(right("iifname eth*")->kind, AX_GLOB);
	assert_string_equal(right("iifname \"eth\\*\"")->text, "eth*");
	assert_int_equal(right("iifname \"eth\\*\"")->kind, AX_STRING);
	assert_int_equal(right("meta l4proto tcp")->kind, AX_SYMBOL);
	assert_int_equal(right("ether type 8021q")->kind, AX_SYMBOL);
	assert_int_equal(right("meta mark 99999999999999999999")->kind, AX_SYMBOL);
}

static void test_words_by_context(void **state)
{
	/* words that are keywords elsewhere */
	assert_string_equal(right("iifname burst")->text, "burst");
	assert_string_equal(right("ct label level")->text, "level");
	assert_string_equal(right("icmp type redirect")->text, "redirect");
	assert_int_equal(rule("ip protocol tcp tcp dport 22 ip saddr 1.1.1.1 accept")->stmts.n, 4);
	assert_int_equal(rule("meta l4proto gre ip saddr 1.1.1.1")->stmts.n, 2);
	assert_int_equal(rule("gre ip saddr 1.1.1.1")->stmts.v[0]->expr->rel.left->kind, AX_INNER);
	assert_int_equal(rule("limit rate 10/second ct state new accept")->stmts.n, 3);
	assert_int_equal(rule("log flags ip options ip saddr 1.1.1.1")->stmts.n, 2);
	assert_int_equal(rule("ipsec exists accept")->stmts.v[0]->expr->rel.left->kind, AX_META);
	assert_int_equal(rule("ipsec in spi 3")->stmts.v[0]->expr->rel.left->kind, AX_XFRM);
	assert_non_null(parse("table ip prefix { chain mod { jump to; }\n chain to { }; }"));
}

static void test_statements(void **state)
{
	struct ast_limit *l =
		rule("limit rate over 3 mbytes/minute burst 2 kbytes")->stmts.v[0]->limit;
	struct ast_expr *e;

	assert_true(l->over && l->bytes);
	assert_int_equal(l->rate, 3 << 20);
	assert_int_equal(l->unit, 60);
	assert_int_equal(l->burst, 2048);
	assert_int_equal(rule("limit rate 1/day")->stmts.v[0]->limit->burst, 5);
	e = rule("fib saddr . iif oif missing")->stmts.v[0]->expr->rel.left;
	assert_int_equal(e->fib.flags, AFIB_SADDR | AFIB_IIF);
	e = rule("ct original ip saddr 1.1.1.1")->stmts.v[0]->expr->rel.left;
	assert_int_equal(e->ct.dir, 0);
	assert_string_equal(e->ct.family, "ip");
	assert_int_equal(rule("tcp flags syn,ack / syn,rst")->stmts.v[0]->expr->rel_op, REL_FLAGS);
	assert_int_equal(rule("dnat ip addr . port to ip saddr map @m persistent,random")
				 ->stmts.v[0]
				 ->nat->flags,
			 ANAT_PERSISTENT | ANAT_RANDOM);
	assert_int_equal(rule("update @s { ip saddr timeout 1d2h3m4s limit rate 1/hour }")
				 ->stmts.v[0]
				 ->dynset->elem.opts->timeout,
			 93784000);
	assert_int_equal(rule("jump { ip saddr 1.1.1.1 drop; accept; }")
				 ->stmts.v[0]
				 ->expr->verdict.block->rules.n,
			 2);
	assert_int_equal(
		rule("ct mark set (ct mark & 0xff00) | (meta mark & 0xff)")->stmts.v[0]->kind,
		AS_CT_SET);
}

static void test_text(void **state)
{
	struct ast_script *s = parse(
		"table ip t { chain c {\n"
		"  ip  saddr {\t1.1.1.1, # one\n 2.2.2.2 } \\\n  log prefix \"a  b\" drop # end\n"
		"}\n}\n");

	assert_non_null(s);
	assert_string_equal(ast_rule_text(arena, &diag,
					  s->cmds.v[0]->table->chains.v[0]->rules.v[0]),
			    "ip saddr { 1.1.1.1, 2.2.2.2 } log prefix \"a  b\" drop");
}

static void test_variables(void **state)
{
	struct ast_expr *e;

	e = right("define a = { 1, 2 }\ntcp dport $a");
	assert_int_equal(e->kind, AX_VAR);
	assert_int_equal(ast_strip(e)->set->elems.n, 2);
	assert_non_null(parse("define a = 1\nredefine a = 2\nundefine a\ndefine a = 3\n"));
	refused("define a = 1\ndefine a = 2\n", "a is defined already");
	refused("define lan = 1\nadd rule t c tcp dport $lna\n", "did you mean $lan");
	refused("table ip t { define a = 1\n}\nadd rule t c tcp dport $a\n", "$a is not defined");
}

static void test_refused(void **state)
{
	refused("table ip t { chain c { tcp dprot 22; }; }", "did you mean dport");
	refused("table ip t { chain c { accept }; }", "unexpected '}'");
	refused("table ip t { chain c { accept; } }", "unexpected '}'");
	refused("table ip t { chain tcp { }; }", "unexpected tcp");
	refused("table ip t { chain c { iifnme lo accept; }; }", "did you mean iifname");
	refused("table ip t { chain c { ct stat new; }; }", "did you mean state");
	refused("table ip t { chain c { limit rate 1/fortnight; }; }", "time unit fortnight");
	refused("table ip t { chain c { ip saddr 1.1.1.1/200; }; }", "prefix length 200");
	refused("table ip t { chain c { policy accept; policy drop; }; }", "policy already");
	refused("table ip t { chain c { accept", "unexpected end of input");
	refused("table ip t { set s { type ipv4_addr; elements = { 1.1.1.1 2.2.2.2 }; }; }",
		"unexpected");
	refused("table ip t { set s { typeof ip saddr . 0; }; }", "typeof takes no values");
	refused("table ip t { flowtable f { hook nowhere priority 0; }; }", "hook nowhere");
	refused("delete rule t c\n", "handle");
	refused("\x01", "unexpected");
}

/* Each wrong statement is told once, and the blocks around them go on. */
static void test_recovery(void **state)
{
	assert_null(
		parse("table ip t {\nchain a {\ntcp dprot 1\naccept\nct stat new\n}\nchain b {\n"
		      "meta makr 1\n}\n}\ndelete tabel x\n"));
	assert_int_equal(diag.errors, 4);
}

static void test_limits(void **state)
{
	struct sbuf b;

	sb_init(&b, arena);
	sb_puts(&b, "add rule t c meta mark 1");
	for (int i = 0; i < 100000; i++)
		sb_puts(&b, "|1");
	refused(b.s, "too deeply");
	sb_init(&b, arena);
	sb_puts(&b, "add rule t c meta mark ");
	for (int i = 0; i < 100000; i++)
		sb_puts(&b, "(");
	refused(b.s, "too deeply");
	sb_init(&b, arena);
	sb_puts(&b, "add rule t c ");
	for (int i = 0; i < 100000; i++)
		sb_puts(&b, "jump { ");
	refused(b.s, "too deeply");
	sb_init(&b, arena);
	sb_puts(&b, "define a0 = 1\n");
	for (int i = 1; i < 1000; i++)
		sb_printf(&b, "define a%d = $a%d\n", i, i - 1);
	refused(b.s, "too deeply");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_values),	   T(test_words_by_context), T(test_statements), T(test_text),
		T(test_variables), T(test_refused),	     T(test_recovery),	 T(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
