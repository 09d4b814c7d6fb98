// SPDX-License-Identifier: GPL-2.0-or-later
/* The manifest as JSON, both ways, by jansson: tables of fields say what its lists hold. */
#include <jansson.h>

#include "manifest.h"

static const char *const state_kinds[] = {
	[MF_COUNTER] = "counter", [MF_LIMIT] = "limit",	  [MF_QUOTA] = "quota",
	[MF_LAST] = "last",	  [MF_NUMGEN] = "numgen",
};

/* -- what the lists hold ------------------------------------------------------------------------- */

/*
 * STR must be there, OPT may be null; KIND is a word of state_kinds; U32S and STRS are vectors; KEYS and VALUES the bytes of
 * struct mf_elems in hexadecimal, whose lengths stand before them.
 */
enum field_kind { STR, OPT, I32, U32, U64, FLAG, KIND, U32S, STRS, KEYS, VALUES };
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
};
#undef REC
#define REC mf_state
static const struct field state_fields[] = {
	F(KIND, kind, "kind"),	  F(STR, map, "map"),	  F(U32, index, "index"),
	F(STR, family, "family"), F(STR, table, "table"), F(OPT, chain, "chain"),
	F(OPT, object, "object"), F(U32, rule, "rule"),	  F(U32, expr, "expr"),
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
	F(KEYS, keys, "keys"),	    F(VALUES, values, "values"),
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
	F(U32, rule, NULL),   F(U32, expr, NULL),  F(U64, packets, NULL), F(U64, bytes, NULL),
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

static json_t *write_vec(const struct field *f, const void *p)
{
	json_t *a = json_array();

	if (f->kind == STRS)
		vec_foreach((const struct strings *)p, s)
			json_array_append_new(a, json_string(*s));
	else
		vec_foreach((const struct numbers *)p, n)
			json_array_append_new(a, json_integer(*n));
	return a;
}

static json_t *write_field(const struct field *f, const void *rec)
{
	const void *p = (const char *)rec + f->off;
	const struct mf_elems *e = rec; /* of KEYS and VALUES */

	switch (f->kind) {
	case STR:
	case OPT:
		return str(*(const char *const *)p);
	case I32:
		return json_integer(*(const int32_t *)p);
	case U32:
		return json_integer(*(const uint32_t *)p);
	case U64:
		return json_integer((json_int_t) * (const uint64_t *)p);
	case FLAG:
		return json_boolean(*(const bool *)p);
	case KIND:
		return json_string(state_kinds[*(const enum mf_state_kind *)p]);
	case U32S:
	case STRS:
		return write_vec(f, p);
	case KEYS:
		return hex(e->keys, e->n * (size_t)e->key_len);
	case VALUES:
		return hex(e->values, e->n * (size_t)e->value_len);
	}
	BUG("field of kind %d", f->kind);
}

static void write_record(const struct list *l, const void *rec, json_t *out)
{
	json_t *j = l->fields[0].key ? json_object() : json_array();

	for (uint32_t i = 0; i < l->n; i++) {
		const struct field *f = &l->fields[i];
		json_t *v = write_field(f, rec);

		if (!v ||
		    (f->key ? json_object_set_new(j, f->key, v) : json_array_append_new(j, v)))
			BUG("the manifest holds text that is not UTF-8");
	}
	json_array_append_new(out, j);
}

static json_t *write_list(const struct list *l, const struct manifest *m)
{
	const struct records *v = (const struct records *)((const char *)m + l->off);
	json_t *a = json_array();

	for (uint32_t i = 0; i < v->n; i++)
		write_record(l, v->v + i * l->size, a);
	return a;
}

const char *manifest_write(struct arena *a, const struct manifest *m, size_t *len)
{
	json_t *tables = json_array(), *j;
	const char *out;
	char *text;

	vec_foreach(&m->tables, t)
		json_array_append_new(tables, json_string(*t));
	j = json_pack("{si ss ss ss ss sb so}", "version", MANIFEST_VERSION, "compiler",
		      m->compiler, "ruleset", m->ruleset, "preamble", m->preamble, "fallback",
		      m->fallback, "fallback_empty", (int)m->fallback_empty, "tables", tables);
	if (j && m->prefix && *m->prefix) {
		json_t *asleep = json_array();

		vec_foreach(&m->asleep, t)
			json_array_append_new(asleep, json_string(*t));
		json_object_set_new(j, "prefix", json_string(m->prefix));
		json_object_set_new(j, "asleep", asleep);
	}
	if (!j)
		BUG("the manifest holds text that is not UTF-8");
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		json_object_set_new(j, lists[i].key, write_list(&lists[i], m));
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

/* Bytes: as many as the lengths say that were read before. */
static bool read_bytes(struct arena *a, uint8_t **p, uint32_t n, uint32_t len, json_t *j)
{
	uint32_t got;

	return unhex(a, json_string_value(j), p, &got) && (uint64_t)n * len == got;
}

static bool read_field(struct arena *a, const struct field *f, void *rec, json_t *j)
{
	void *p = (char *)rec + f->off;
	struct mf_elems *e = rec; /* of KEYS and VALUES */
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
	case KEYS:
		return read_bytes(a, &e->keys, e->n, e->key_len, j);
	case VALUES:
		return read_bytes(a, &e->values, e->n, e->value_len, j);
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
