// SPDX-License-Identifier: GPL-2.0-or-later
/* The manifest as JSON, both ways, by jansson. */
#include <jansson.h>

#include "manifest.h"

static const char *const state_kinds[] = {
	[MF_COUNTER] = "counter", [MF_LIMIT] = "limit",	  [MF_QUOTA] = "quota",
	[MF_LAST] = "last",	  [MF_NUMGEN] = "numgen",
};

/* -- writing ------------------------------------------------------------------------------------- */

static json_t *str(const char *s)
{
	return s ? json_string(s) : json_null();
}

static json_t *hex(const uint8_t *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	char *s = malloc((size_t)n * 2 + 1);
	json_t *j;

	BUG_ON(!s);
	for (size_t i = 0; i < n; i++) {
		s[2 * i] = digits[p[i] >> 4];
		s[2 * i + 1] = digits[p[i] & 15];
	}
	s[(size_t)n * 2] = '\0';
	j = json_string(s);
	free(s);
	return j;
}

static json_t *write_progs(const struct manifest *m)
{
	json_t *a = json_array();

	vec_foreach(&m->progs, p)
		json_array_append_new(a, json_pack("{ss ss ss si si ss ss ss sb}", "program",
						   p->name, "pf", p->pf, "hook", p->hook, "hooknum",
						   (int)p->hooknum, "priority", (int)p->prio,
						   "family", p->family, "table", p->table, "chain",
						   p->chain, "residual", (int)p->residual));
	return a;
}

static json_t *write_states(const struct manifest *m)
{
	json_t *a = json_array();

	vec_foreach(&m->states, s)
		json_array_append_new(a, json_pack("{ss ss sI ss ss so so sI sI sI sI}", "kind",
						   state_kinds[s->kind], "map", s->map, "index",
						   (json_int_t)s->index, "family", s->family,
						   "table", s->table, "chain", str(s->chain),
						   "object", str(s->object), "rule",
						   (json_int_t)s->rule, "expr", (json_int_t)s->expr,
						   "a", (json_int_t)s->a, "b", (json_int_t)s->b));
	return a;
}

static json_t *write_sets(const struct manifest *m)
{
	json_t *a = json_array();

	vec_foreach(&m->sets, s) {
		json_t *verdicts = json_array(), *fields = json_array();

		vec_foreach(&s->fields, f)
			json_array_append_new(fields, json_integer(*f));
		vec_foreach(&s->verdicts, v)
			json_array_append_new(verdicts, json_string(*v));
		json_array_append_new(a, json_pack("{ss ss ss so ss sb sb so si si si si so}",
						   "family", s->family, "table", s->table, "set",
						   s->set, "map", str(s->map), "layout", s->layout,
						   "timeouts", (int)s->timeouts, "catchall",
						   (int)s->catchall, "fields", fields, "key_len",
						   (int)s->key_len, "value_len", (int)s->value_len,
						   "data_words", (int)s->data_words, "expr_off",
						   (int)s->expr_off, "verdicts", verdicts));
	}
	return a;
}

static json_t *write_elems(const struct manifest *m)
{
	json_t *a = json_array();

	vec_foreach(&m->elems, e)
		json_array_append_new(a,
				      json_pack("{ss si si si so so}", "map", e->map, "n",
						(int)e->n, "key_len", (int)e->key_len, "value_len",
						(int)e->value_len, "keys",
						hex(e->keys, e->n * (size_t)e->key_len), "values",
						hex(e->values, e->n * (size_t)e->value_len)));
	return a;
}

static json_t *write_rules(const struct manifest *m)
{
	json_t *a = json_array();

	vec_foreach(&m->rules, r)
		json_array_append_new(a, json_pack("[sssisoi]", r->family, r->table, r->chain,
						   (int)r->index, r->where, str(r->reason),
						   (int)r->n));
	return a;
}

static json_t *write_copies(const struct manifest *m)
{
	json_t *a = json_array();

	vec_foreach(&m->copies, c)
		json_array_append_new(a, json_pack("[sssisi]", c->family, c->table, c->chain,
						   (int)c->rule, c->res_chain, (int)c->res_rule));
	return a;
}

static json_t *write_carried(const struct manifest *m)
{
	json_t *a = json_array();

	vec_foreach(&m->carried, c)
		json_array_append_new(a, json_pack("[ssooiiII]", c->family, c->table, str(c->chain),
						   str(c->object), (int)c->rule, (int)c->expr,
						   (json_int_t)c->packets, (json_int_t)c->bytes));
	return a;
}

const char *manifest_write(struct arena *a, const struct manifest *m, size_t *len)
{
	json_t *tables = json_array(), *j;
	const char *out;
	char *text;

	vec_foreach(&m->tables, t)
		json_array_append_new(tables, json_string(*t));
	j = json_pack("{si ss ss ss ss sb so so so so so so so so}", "version", MANIFEST_VERSION,
		      "compiler", m->compiler, "ruleset", m->ruleset, "preamble", m->preamble,
		      "fallback", m->fallback, "fallback_empty", (int)m->fallback_empty, "tables",
		      tables, "programs", write_progs(m), "states", write_states(m), "sets",
		      write_sets(m), "elements", write_elems(m), "rules", write_rules(m), "copies",
		      write_copies(m), "carried", write_carried(m));
	if (!j)
		BUG("the manifest holds text that is not UTF-8");
	text = json_dumps(j, JSON_COMPACT);
	BUG_ON(!text);
	*len = strlen(text);
	out = arena_dup(a, text, *len + 1);
	free(text);
	json_decref(j);
	return out;
}

/* -- reading ------------------------------------------------------------------------------------- */

static const char *take(struct arena *a, json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? arena_strdup(a, s) : NULL;
}

static uint64_t num(json_t *j, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(j, key));
}

static int nibble(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool unhex(struct arena *a, const char *s, uint8_t **p, uint32_t *n)
{
	size_t len = s ? strlen(s) : 1;
	uint8_t *b;

	if (len % 2 || len / 2 > UINT32_MAX)
		return false;
	b = arena_alloc(a, len / 2);
	for (size_t i = 0; i < len / 2; i++) {
		int h = nibble(s[2 * i]), l = nibble(s[2 * i + 1]);

		if (h < 0 || l < 0)
			return false;
		b[i] = (uint8_t)(h << 4 | l);
	}
	*p = b;
	*n = (uint32_t)(len / 2);
	return true;
}

static bool read_progs(struct arena *a, struct manifest *m, json_t *list)
{
	size_t i;
	json_t *j;

	json_array_foreach(list, i, j)
	{
		struct mf_prog *p = vec_push(a, &m->progs);

		p->name = take(a, j, "program");
		p->pf = take(a, j, "pf");
		p->hook = take(a, j, "hook");
		p->hooknum = (uint32_t)num(j, "hooknum");
		p->prio = (int32_t)num(j, "priority");
		p->family = take(a, j, "family");
		p->table = take(a, j, "table");
		p->chain = take(a, j, "chain");
		p->residual = json_is_true(json_object_get(j, "residual"));
		if (!p->name || !p->pf || !p->hook || !p->family || !p->table || !p->chain)
			return false;
	}
	return true;
}

static bool read_states(struct arena *a, struct manifest *m, json_t *list)
{
	size_t i;
	json_t *j;

	json_array_foreach(list, i, j)
	{
		struct mf_state *s = vec_push(a, &m->states);
		const char *kind = take(a, j, "kind");
		size_t k = 0;

		while (kind && k < ARRAY_SIZE(state_kinds) && strcmp(kind, state_kinds[k]) != 0)
			k++;
		s->kind = (enum mf_state_kind)k;
		s->map = take(a, j, "map");
		s->index = (uint32_t)num(j, "index");
		s->family = take(a, j, "family");
		s->table = take(a, j, "table");
		s->chain = take(a, j, "chain");
		s->object = take(a, j, "object");
		s->rule = (uint32_t)num(j, "rule");
		s->expr = (uint32_t)num(j, "expr");
		s->a = num(j, "a");
		s->b = num(j, "b");
		if (!kind || k == ARRAY_SIZE(state_kinds) || !s->map || !s->family || !s->table)
			return false;
	}
	return true;
}

static bool read_sets(struct arena *a, struct manifest *m, json_t *list)
{
	size_t i, k;
	json_t *j, *v;

	json_array_foreach(list, i, j)
	{
		struct mf_set *s = vec_push(a, &m->sets);

		s->family = take(a, j, "family");
		s->table = take(a, j, "table");
		s->set = take(a, j, "set");
		s->map = take(a, j, "map");
		s->layout = take(a, j, "layout");
		s->timeouts = json_is_true(json_object_get(j, "timeouts"));
		s->catchall = json_is_true(json_object_get(j, "catchall"));
		json_array_foreach(json_object_get(j, "fields"), k, v) *
			vec_push(a, &s->fields) = (uint32_t)json_integer_value(v);
		s->key_len = (uint32_t)num(j, "key_len");
		s->value_len = (uint32_t)num(j, "value_len");
		s->data_words = (uint32_t)num(j, "data_words");
		s->expr_off = (uint32_t)num(j, "expr_off");
		json_array_foreach(json_object_get(j, "verdicts"), k, v)
		{
			if (!json_string_value(v))
				return false;
			*vec_push(a, &s->verdicts) = arena_strdup(a, json_string_value(v));
		}
		if (!s->family || !s->table || !s->set || !s->layout ||
		    8 + 4 * (uint64_t)s->data_words > s->expr_off || s->expr_off > s->value_len) {
			if (s->map || !s->layout)
				return false;
		}
	}
	return true;
}

static bool read_elems(struct arena *a, struct manifest *m, json_t *list)
{
	size_t i;
	json_t *j;

	json_array_foreach(list, i, j)
	{
		struct mf_elems *e = vec_push(a, &m->elems);
		uint32_t n_keys, n_values;

		e->map = take(a, j, "map");
		e->n = (uint32_t)num(j, "n");
		e->key_len = (uint32_t)num(j, "key_len");
		e->value_len = (uint32_t)num(j, "value_len");
		if (!e->map ||
		    !unhex(a, json_string_value(json_object_get(j, "keys")), &e->keys, &n_keys) ||
		    !unhex(a, json_string_value(json_object_get(j, "values")), &e->values,
			   &n_values) ||
		    (uint64_t)e->n * e->key_len != n_keys ||
		    (uint64_t)e->n * e->value_len != n_values)
			return false;
	}
	return true;
}

static bool read_rules(struct arena *a, struct manifest *m, json_t *list)
{
	size_t i;
	json_t *j;

	json_array_foreach(list, i, j)
	{
		struct mf_rule *r = vec_push(a, &m->rules);
		const char *f = json_string_value(json_array_get(j, 0));
		const char *t = json_string_value(json_array_get(j, 1));
		const char *c = json_string_value(json_array_get(j, 2));
		const char *w = json_string_value(json_array_get(j, 4));
		const char *why = json_string_value(json_array_get(j, 5));

		if (!f || !t || !c || !w)
			return false;
		r->family = arena_strdup(a, f);
		r->table = arena_strdup(a, t);
		r->chain = arena_strdup(a, c);
		r->index = (uint32_t)json_integer_value(json_array_get(j, 3));
		r->n = (uint32_t)json_integer_value(json_array_get(j, 6));
		r->where = arena_strdup(a, w);
		r->reason = why ? arena_strdup(a, why) : NULL;
	}
	return true;
}

static bool read_copies(struct arena *a, struct manifest *m, json_t *list)
{
	size_t i;
	json_t *j;

	json_array_foreach(list, i, j)
	{
		struct mf_copy *c = vec_push(a, &m->copies);
		const char *s[4] = { json_string_value(json_array_get(j, 0)),
				     json_string_value(json_array_get(j, 1)),
				     json_string_value(json_array_get(j, 2)),
				     json_string_value(json_array_get(j, 4)) };

		if (!s[0] || !s[1] || !s[2] || !s[3])
			return false;
		c->family = arena_strdup(a, s[0]);
		c->table = arena_strdup(a, s[1]);
		c->chain = arena_strdup(a, s[2]);
		c->rule = (uint32_t)json_integer_value(json_array_get(j, 3));
		c->res_chain = arena_strdup(a, s[3]);
		c->res_rule = (uint32_t)json_integer_value(json_array_get(j, 5));
	}
	return true;
}

static bool read_carried(struct arena *a, struct manifest *m, json_t *list)
{
	size_t i;
	json_t *j;

	json_array_foreach(list, i, j)
	{
		struct mf_carried *c = vec_push(a, &m->carried);
		const char *s[4];

		for (size_t k = 0; k < 4; k++) {
			s[k] = json_string_value(json_array_get(j, k));
			s[k] = s[k] ? arena_strdup(a, s[k]) : NULL;
		}
		if (!s[0] || !s[1] || (!s[2] && !s[3]))
			return false;
		c->family = s[0];
		c->table = s[1];
		c->chain = s[2];
		c->object = s[3];
		c->rule = (uint32_t)json_integer_value(json_array_get(j, 4));
		c->expr = (uint32_t)json_integer_value(json_array_get(j, 5));
		c->packets = (uint64_t)json_integer_value(json_array_get(j, 6));
		c->bytes = (uint64_t)json_integer_value(json_array_get(j, 7));
	}
	return true;
}

static bool read_all(struct arena *a, struct manifest *m, json_t *j)
{
	json_t *tables = json_object_get(j, "tables"), *t;
	size_t i;

	m->compiler = take(a, j, "compiler");
	m->ruleset = take(a, j, "ruleset");
	m->preamble = take(a, j, "preamble");
	m->fallback = take(a, j, "fallback");
	m->fallback_empty = json_is_true(json_object_get(j, "fallback_empty"));
	json_array_foreach(tables, i, t)
	{
		if (!json_string_value(t))
			return false;
		*vec_push(a, &m->tables) = arena_strdup(a, json_string_value(t));
	}
	return m->compiler && m->ruleset && m->preamble && m->fallback &&
	       read_progs(a, m, json_object_get(j, "programs")) &&
	       read_states(a, m, json_object_get(j, "states")) &&
	       read_sets(a, m, json_object_get(j, "sets")) &&
	       read_elems(a, m, json_object_get(j, "elements")) &&
	       read_rules(a, m, json_object_get(j, "rules")) &&
	       read_copies(a, m, json_object_get(j, "copies")) &&
	       read_carried(a, m, json_object_get(j, "carried"));
}

struct manifest *manifest_read(struct arena *a, const char *json, size_t len, const char **why)
{
	struct manifest *m = arena_new_of(a, struct manifest);
	json_error_t err;
	json_t *j = json_loadb(json, len, 0, &err);
	bool good = false;

	if (!j) {
		*why = arena_printf(a, "its manifest is not JSON: %s", err.text);
		return NULL;
	}
	if (num(j, "version") != MANIFEST_VERSION)
		*why = arena_printf(a, "its manifest has version %d, this nft2bpfctl reads %d",
				    (int)num(j, "version"), MANIFEST_VERSION);
	else if (!read_all(a, m, j))
		*why = "its manifest is incomplete";
	else
		good = true;
	json_decref(j);
	return good ? m : NULL;
}
