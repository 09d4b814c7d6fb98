// SPDX-License-Identifier: GPL-2.0-or-later
/* The manifest as JSON, both ways, read by jansson: tables of fields say what its lists hold. */
#include <jansson.h>

#include "manifest.h"

static const char *const state_kinds[] = {
	[MF_COUNTER] = "counter", [MF_LIMIT] = "limit",	  [MF_QUOTA] = "quota",
	[MF_LAST] = "last",	  [MF_NUMGEN] = "numgen",
};

/* -- what the lists hold ----------------------------------------------------------------------- */

/*
 * STR must be there, OPT may be null; KIND is a word of state_kinds; U32S and STRS are vectors.
 */
enum field_kind { STR, OPT, I32, U32, U64, FLAG, KIND, U32S, STRS };
struct field {
	enum field_kind kind;
	const char *key; /* NULL: the record is a JSON array, its fields have places */
	size_t off;
};
#define F(kind, member, key)                                                                       \
	{                                                                                          \
		kind, key, offsetof(struct REC, member)                                            \
	}
#define REC mf_prog
static const struct field prog_fields[] = {
	F(STR, name, "program"),    F(STR, pf, "pf"),	      F(STR, hook, "hook"),
	F(U32, hooknum, "hooknum"), F(I32, prio, "priority"), F(STR, family, "family"),
	F(STR, table, "table"),	    F(STR, chain, "chain"),   F(FLAG, residual, "residual"),
	F(OPT, then, "then"),
};
#undef REC
#define REC mf_state
static const struct field state_fields[] = {
	F(KIND, kind, "kind"),	  F(STR, map, "map"),	  F(U32, index, "index"),
	F(STR, family, "family"), F(STR, table, "table"), F(OPT, chain, "chain"),
	F(OPT, object, "object"), F(U32, rule, "rule"),	  F(U32, nth, "nth"),
	F(U64, a, "a"),		  F(U64, b, "b"),
};
#undef REC
#define REC mf_set
static const struct field set_fields[] = {
	F(STR, family, "family"),
	F(STR, table, "table"),
	F(STR, set, "set"),
	F(OPT, map, "map"),
	F(STR, layout, "layout"),
	F(FLAG, only_map, "only_map"),
	F(FLAG, timeouts, "timeouts"),
	F(FLAG, catchall, "catchall"),
	F(U32S, fields, "fields"),
	F(U32, key_len, "key_len"),
	F(U32, value_len, "value_len"),
	F(U32, data_words, "data_words"),
	F(U32, expr_off, "expr_off"),
	F(STRS, verdicts, "verdicts"),
};
#undef REC
#define REC mf_elems
static const struct field elems_fields[] = {
	F(STR, map, "map"),	    F(U32, n, "n"),
	F(U32, key_len, "key_len"), F(U32, value_len, "value_len"),
	F(U32, keys_at, "keys"),    F(U32, values_at, "values"),
	F(U32, value_step, "step"),
};
#undef REC
#define REC mf_rule
static const struct field rule_fields[] = {
	F(STR, family, NULL), F(STR, table, NULL),  F(STR, chain, NULL), F(U32, index, NULL),
	F(STR, where, NULL),  F(OPT, reason, NULL), F(U32, n, NULL),
};
#undef REC
#define REC mf_copy
static const struct field copy_fields[] = {
	F(STR, family, NULL), F(STR, table, NULL),     F(STR, chain, NULL),
	F(U32, rule, NULL),   F(STR, res_chain, NULL), F(U32, res_rule, NULL),
};
#undef REC
#define REC mf_carried
static const struct field carried_fields[] = {
	F(STR, family, NULL), F(STR, table, NULL), F(OPT, chain, NULL),	  F(OPT, object, NULL),
	F(U32, rule, NULL),   F(U32, nth, NULL),   F(U64, packets, NULL), F(U64, bytes, NULL),
};
#undef REC

/* How vectors look from here: of strings, of numbers, of records of whatever size. */
struct strings {
	const char **v;
	uint32_t n, cap;
};
struct numbers {
	uint32_t *v;
	uint32_t n, cap;
};
struct records {
	char *v;
	uint32_t n, cap;
};

struct list {
	const char *key;
	const struct field *fields;
	uint32_t n;
	size_t off, size; /* of the vector in struct manifest; of a record */
};
#define L(key, member, rec)                                                                        \
	{                                                                                          \
		key, rec##_fields, ARRAY_SIZE(rec##_fields), offsetof(struct manifest, member),    \
			sizeof(struct mf_##rec)                                                    \
	}
static const struct list lists[] = {
	L("programs", progs, prog),	L("states", states, state), L("sets", sets, set),
	L("elements", elems, elems),	L("rules", rules, rule),    L("copies", copies, copy),
	L("carried", carried, carried),
};

/* -- writing ----------------------------------------------------------------------------------- */

/*
 * By hand: the texts of a large ruleset are many megabytes, which a tree of values would hold once
 * more each.
 */

static void put_escape(struct sbuf *out, unsigned char c)
{
	static const char shorts[][2] = { { '"', '"' },	 { '\\', '\\' }, { '\b', 'b' },
					  { '\f', 'f' }, { '\n', 'n' },	 { '\r', 'r' },
					  { '\t', 't' } };

	for (size_t i = 0; i < ARRAY_SIZE(shorts); i++)
		if (shorts[i][0] == (char)c) {
			sb_add(out, (const char[]){ '\\', shorts[i][1] }, 2);
			return;
		}
	sb_printf(out, "\\u%04X", c);
}

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c != '"' && c != '\\';
}

static void put_string(struct sbuf *out, const char *s)
{
	const unsigned char *p = (const unsigned char *)s, *from = p;

	if (!text_is_utf8(s, strlen(s)))
		BUG("the manifest holds text that is not UTF-8");
	sb_add(out, "\"", 1);
	for (; *p; from = ++p) {
		while (is_plain(*p))
			p++;
		sb_add(out, (const char *)from, (size_t)(p - from));
		if (!*p)
			break;
		put_escape(out, *p);
	}
	sb_add(out, "\"", 1);
}

static void put_key(struct sbuf *out, const char *key)
{
	char c = out->s[out->n - 1];

	if (c != '{' && c != '[')
		sb_add(out, ",", 1);
	if (!key)
		return;
	put_string(out, key);
	sb_add(out, ":", 1);
}

static void put_strings(struct sbuf *out, const struct strings *v)
{
	sb_add(out, "[", 1);
	vec_foreach(v, s) {
		put_key(out, NULL);
		put_string(out, *s);
	}
	sb_add(out, "]", 1);
}

static void put_numbers(struct sbuf *out, const struct numbers *v)
{
	sb_add(out, "[", 1);
	vec_foreach(v, n) {
		put_key(out, NULL);
		sb_printf(out, "%u", *n);
	}
	sb_add(out, "]", 1);
}

static void put_field(struct sbuf *out, const struct field *f, const void *rec)
{
	const void *p = (const char *)rec + f->off;
	const char *s;

	switch (f->kind) {
	case STR:
	case OPT:
		s = *(const char *const *)p;
		if (s)
			put_string(out, s);
		else
			sb_puts(out, "null");
		return;
	case I32:
		sb_printf(out, "%d", *(const int32_t *)p);
		return;
	case U32:
		sb_printf(out, "%u", *(const uint32_t *)p);
		return;
	case U64: /* as jansson reads it */
		sb_printf(out, "%lld", (long long)*(const uint64_t *)p);
		return;
	case FLAG:
		sb_puts(out, *(const bool *)p ? "true" : "false");
		return;
	case KIND:
		put_string(out, state_kinds[*(const enum mf_state_kind *)p]);
		return;
	case U32S:
		put_numbers(out, p);
		return;
	case STRS:
		put_strings(out, p);
		return;
	}
	BUG("field of kind %d", f->kind);
}

static void put_list(struct sbuf *out, const struct list *l, const struct manifest *m)
{
	const struct records *v = (const struct records *)((const char *)m + l->off);
	bool named = l->fields[0].key;

	sb_add(out, "[", 1);
	for (uint32_t i = 0; i < v->n; i++) {
		put_key(out, NULL);
		sb_add(out, named ? "{" : "[", 1);
		for (uint32_t k = 0; k < l->n; k++) {
			put_key(out, l->fields[k].key);
			put_field(out, &l->fields[k], v->v + i * l->size);
		}
		sb_add(out, named ? "}" : "]", 1);
	}
	sb_add(out, "]", 1);
}

static void put_text(struct sbuf *out, const char *key, const char *s)
{
	put_key(out, key);
	put_string(out, s);
}

static void put_head(struct sbuf *out, const struct manifest *m)
{
	sb_printf(out, "{\"version\":%d", MANIFEST_VERSION);
	put_text(out, "compiler", m->compiler);
	put_text(out, "ruleset", m->ruleset);
	put_text(out, "preamble", m->preamble);
	put_text(out, "fallback", m->fallback);
	put_key(out, "fallback_empty");
	sb_puts(out, m->fallback_empty ? "true" : "false");
	put_key(out, "fallback_idle");
	sb_puts(out, m->fallback_idle ? "true" : "false");
	put_key(out, "tables");
	put_strings(out, (const struct strings *)&m->tables);
	if (!m->prefix || !*m->prefix)
		return;
	put_text(out, "prefix", m->prefix);
	put_key(out, "asleep");
	put_strings(out, (const struct strings *)&m->asleep);
}

/* About how long the text will be. */
static size_t size_of(const struct manifest *m)
{
	size_t n = 4096 + strlen(m->ruleset) + strlen(m->fallback);

	return n + n / 8;
}

const char *manifest_write(struct arena *a, const struct manifest *m, size_t *len)
{
	struct sbuf out;

	sb_init_room(&out, a, size_of(m));
	put_head(&out, m);
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		put_key(&out, lists[i].key);
		put_list(&out, &lists[i], m);
	}
	sb_add(&out, "}", 1);
	*len = out.n;
	return out.s;
}

/* -- reading ----------------------------------------------------------------------------------- */

static const char *take(struct arena *a, json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? arena_strdup(a, s) : NULL;
}

static uint64_t num(json_t *j, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(j, key));
}

static bool read_kind(enum mf_state_kind *kind, const char *word)
{
	for (size_t k = 0; word && k < ARRAY_SIZE(state_kinds); k++)
		if (!strcmp(word, state_kinds[k])) {
			*kind = (enum mf_state_kind)k;
			return true;
		}
	return false;
}

static bool read_vec(struct arena *a, const struct field *f, void *p, json_t *list)
{
	size_t i;
	json_t *j;

	json_array_foreach(list, i, j)
	{
		if (f->kind == U32S)
			*vec_push(a, (struct numbers *)p) = (uint32_t)json_integer_value(j);
		else if (json_string_value(j))
			*vec_push(a, (struct strings *)p) = arena_strdup(a, json_string_value(j));
		else
			return false;
	}
	return true;
}

static bool read_field(struct arena *a, const struct field *f, void *rec, json_t *j)
{
	void *p = (char *)rec + f->off;
	const char *s = json_string_value(j);

	switch (f->kind) {
	case STR:
	case OPT:
		*(const char **)p = s ? arena_strdup(a, s) : NULL;
		return s || f->kind == OPT;
	case I32:
		*(int32_t *)p = (int32_t)json_integer_value(j);
		return true;
	case U32:
		*(uint32_t *)p = (uint32_t)json_integer_value(j);
		return true;
	case U64:
		*(uint64_t *)p = (uint64_t)json_integer_value(j);
		return true;
	case FLAG:
		*(bool *)p = json_is_true(j);
		return true;
	case KIND:
		return read_kind(p, s);
	case U32S:
	case STRS:
		return read_vec(a, f, p, j);
	}
	BUG("field of kind %d", f->kind);
}

static bool read_list(struct arena *a, struct manifest *m, const struct list *l, json_t *from)
{
	struct records *v = (struct records *)((char *)m + l->off);
	size_t i, n = json_array_size(from);

	v->v = arena_alloc(a, n * l->size + 1);
	v->n = v->cap = (uint32_t)n;
	for (i = 0; i < n; i++) {
		json_t *j = json_array_get(from, i);

		for (uint32_t k = 0; k < l->n; k++) {
			const struct field *f = &l->fields[k];

			if (!read_field(a, f, v->v + i * l->size,
					f->key ? json_object_get(j, f->key) : json_array_get(j, k)))
				return false;
		}
	}
	return true;
}

/* What the fields must have to do with each other. */
static bool fits(const struct manifest *m)
{
	vec_foreach(&m->sets, s)
		if (s->map &&
		    (8 + 4 * (uint64_t)s->data_words > s->expr_off || s->expr_off > s->value_len))
			return false;
	vec_foreach(&m->carried, c)
		if (!c->chain && !c->object)
			return false;
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
	m->fallback_idle = json_is_true(json_object_get(j, "fallback_idle"));
	m->prefix = take(a, j, "prefix");
	m->prefix = m->prefix ? m->prefix : "";
	json_array_foreach(json_object_get(j, "asleep"), i, t)
	{
		if (!json_string_value(t))
			return false;
		*vec_push(a, &m->asleep) = arena_strdup(a, json_string_value(t));
	}
	json_array_foreach(tables, i, t)
	{
		if (!json_string_value(t))
			return false;
		*vec_push(a, &m->tables) = arena_strdup(a, json_string_value(t));
	}
	for (i = 0; i < ARRAY_SIZE(lists); i++)
		if (!read_list(a, m, &lists[i], json_object_get(j, lists[i].key)))
			return false;
	return m->compiler && m->ruleset && m->preamble && m->fallback && fits(m);
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
