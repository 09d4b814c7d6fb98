// SPDX-License-Identifier: GPL-2.0-or-later
/* kdref: the side of nf_tables alone: its ruleset loaded and listed. See kd.h. */
#include <string.h>
#include <unistd.h>

#include "frontend.h"
#include "kd.h"
#include "nlwrite.h"

bool is_full(const char *ruleset)
{
	FILE *f = fopen(ruleset, "r");
	char line[8192];
	bool full = false;

	while (f && !full && fgets(line, sizeof(line), f))
		full = strstr(line, "\txt match \"") || strstr(line, " xt match \"");
	if (f)
		fclose(f);
	return full;
}

bool is_xt(const char *ruleset)
{
	size_t n = strlen(ruleset);

	return n > 3 && !strcmp(ruleset + n - 3, ".xt");
}

struct ruleset *read_xt(struct arena *a, struct diag *d, const char *script)
{
	struct ruleset *rs = NULL;
	char ns[32], log[64];

	snprintf(ns, sizeof(ns), "kdiff%dx", getpid());
	snprintf(log, sizeof(log), "/tmp/%s.log", ns);
	if (sh(NULL, log, "ip netns add %s", ns) || sh(ns, log, "set -e; . '%s'", script)) {
		printf("# %s does not run\n", script);
		print_log(log);
	} else if (enter(ns)) {
		rs = frontend_read_live(a, d);
	}
	enter("");
	sh(NULL, NULL, "ip netns del %s", ns);
	unlink(log);
	return rs;
}

/* The ruleset as messages. */
static bool load_direct(struct side *s, const struct ruleset *rs)
{
	struct arena *a = arena_new();
	uint32_t seq = 0;
	struct diag d;
	struct nlw w;
	int err = 0;
	bool good;

	diag_init(&d, a);
	nlw_begin(&w, a, &d);
	good = nlw_ruleset(&w, rs);
	nlw_end(&w, true);
	if (good && enter(s->ns))
		err = nlw_send(&w, &seq);
	enter("");
	diag_flush(&d, stdout);
	if (err)
		printf("# nf_tables refuses %s: %s\n", nlw_what(&w, seq) ?: "it", strerror(err));
	arena_free(a);
	return good && !err;
}

bool ref_load(struct side *s, const struct ruleset *rs, const char *path, const char *dir,
	      bool *direct)
{
	char log[256];

	snprintf(log, sizeof(log), "%s/log", dir);
	if (*direct || (!is_xt(path) && is_full(path))) {
		*direct = true;
		return load_direct(s, rs);
	}
	if (!sh(s->ns, log, is_xt(path) ? "set -e; . '%s'" : "${NFT:-nft} -f '%s'", path))
		return true;
	if (is_xt(path)) {
		print_log(log);
		return false;
	}
	printf("# nft does not load it: its expressions are handed over without nft\n");
	*direct = true;
	return load_direct(s, rs);
}

static void list_exprs(FILE *f, struct expr *const *v, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (v[i]->kind == EX_COUNTER)
			fprintf(f, "packets %llu bytes %llu\n",
				(unsigned long long)v[i]->counter.packets,
				(unsigned long long)v[i]->counter.bytes);
}

static void list_set(FILE *f, const struct set *s)
{
	if (s->flags & SET_ANONYMOUS)
		return;
	fprintf(f, "elements = {\n");
	vec_foreach(&s->elems, e)
		list_exprs(f, (*e)->exprs, (*e)->n_exprs);
	fprintf(f, "}\n");
}

static void list_chain(FILE *f, const struct chain *c)
{
	vec_foreach(&c->rules, r) {
		struct rule own = rule_kernel(*r);

		vec_foreach(&own.exprs, e) {
			list_exprs(f, e, 1);
			if ((*e)->kind == EX_IMMEDIATE && (*e)->imm.verdict.chain &&
			    (*e)->imm.verdict.chain->is_bound)
				list_chain(f, (*e)->imm.verdict.chain);
		}
	}
}

/* The counters, in the order in which nft lists them. */
static void list_counters(FILE *f, const struct ruleset *rs)
{
	vec_foreach(&rs->tables, t) {
		vec_foreach(&(*t)->objs, o)
			if ((*o)->expr)
				list_exprs(f, &(*o)->expr, 1);
		vec_foreach(&(*t)->sets, s)
			list_set(f, *s);
		vec_foreach(&(*t)->chains, c)
			if (!(*c)->is_bound)
				list_chain(f, *c);
	}
}

bool ref_list(struct side *s, const char *path, bool direct, struct cover *cover,
	      const struct ruleset *put)
{
	struct arena *a = arena_new();
	struct ruleset *rs;
	struct diag d;
	bool good;
	FILE *f;

	if (!direct) {
		arena_free(a);
		return !sh(s->ns, path, "${NFT:-nft} list ruleset");
	}
	diag_init(&d, a);
	rs = enter(s->ns) ? frontend_read_live(a, &d) : NULL;
	enter("");
	good = rs && (!put || cover_take(cover, put, rs));
	f = good ? fopen(path, "w") : NULL;
	if (f) {
		list_counters(f, rs);
		good = !fclose(f);
	} else {
		printf("# the reference cannot be listed\n");
	}
	diag_flush(&d, stdout);
	arena_free(a);
	return good;
}
