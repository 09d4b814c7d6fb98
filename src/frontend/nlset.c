// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nlset: sets and their elements from netlink.
 *
 * The kernel keeps an interval as two elements, its start and, marked INTERVAL_END, the first value
 * behind it; concatenated ranges have key and key end in one element. Both become closed ranges
 * here, sorted.
 */
#include <stdlib.h>

#include "nl.h"
#include "types.h"

#define ELEM_INTERVAL_END 1u
#define ELEM_CATCHALL	  2u
#define SET_FLAGS_KNOWN	  0x1ffu

/* NFTNL_UDATA_SET_* */
enum {
	UDATA_KEY_ORDER,
	UDATA_DATA_ORDER,
	UDATA_MERGE,
	UDATA_SET_COMMENT = 7,
	UDATA_ELEM_COMMENT = 0
};

struct set *nl_find_set(struct nl_reader *rd, struct nl_attr name, struct nl_attr id)
{
	const char *n = nl_str(rd, name);
	struct set *s = NULL;

	if (id.p && id.len == 4)
		s = strmap_get(&rd->cur->set_ids, (const char *)id.p, 4);
	if (!s && n)
		s = strmap_get(&rd->cur->sets, n, strlen(n));
	if (!s && n)
		nl_error(rd, "set %s does not exist", n);
	else if (!s)
		nl_bad(rd, "name of a set");
	return s;
}

/* -- declarations ------------------------------------------------------------------------------ */

static bool read_fields(struct nl_reader *rd, struct set *s, struct nl_attr list)
{
	struct nl_attr a, tb[2];
	unsigned int type, total = 0;
	bool bad = false;
	uint32_t len;

	s->n_fields = 0;
	while (nl_next(&list, &type, &a, &bad)) {
		if (type != NFTA_LIST_ELEM_ || nl_walk(a, tb, 2) != NL_OK || !nl_u32(tb[1], &len) ||
		    !len || len > DATA_MAX || s->n_fields == ARRAY_SIZE(s->field_len))
			return nl_bad(rd, "fields of a set");
		s->field_len[s->n_fields++] = (uint8_t)len;
		total += ALIGN_UP(len, 4);
	}
	if (bad || !s->n_fields)
		return nl_bad(rd, "fields of a set");
	if (s->n_fields == 1)
		return s->field_len[0] == s->key_len || nl_bad(rd, "fields of a set");
	return total == s->key_len || nl_bad(rd, "fields of a set do not fill its key");
}

/* A concatenation whose fields the stream does not list: from its type, six bits for each field. */
static void fields_of_type(struct set *s)
{
	uint8_t len[ARRAY_SIZE(s->field_len)];
	unsigned int n = 0, total = 0;

	for (uint32_t t = s->key_type; t; t >>= 6)
		n++;
	if (n < 2 || n > 5)
		return;
	for (unsigned int i = 0; i < n; i++) {
		len[i] = (uint8_t)datatype_len(s->key_type >> 6 * (n - 1 - i) & 63);
		if (!len[i])
			return;
		total += ALIGN_UP(len[i], 4);
	}
	if (total != s->key_len)
		return;
	memcpy(s->field_len, len, n);
	s->n_fields = n;
}

static bool read_desc(struct nl_reader *rd, struct set *s, struct nl_attr desc)
{
	struct nl_attr tb[3];

	if (!desc.p)
		return true;
	if (!nl_table_of(rd, desc, tb, 3, "set description"))
		return false;
	if (tb[1].p) {
		if (!nl_u32(tb[1], &s->size))
			return nl_bad(rd, "size of a set");
		if (s->flags & SET_ANONYMOUS) /* only a hint how many elements follow */
			s->size = 0;
		s->has_size = s->size != 0;
	}
	return tb[2].p ? read_fields(rd, s, tb[2]) : true;
}

/* "ipv4_addr . inet_service"; NULL when a type has no name. */
static const char *decl_of(struct arena *a, uint32_t type)
{
	const char *one, *rest;

	one = datatype_name(type & 63);
	if (!one)
		return NULL;
	if (type < 64)
		return one;
	rest = decl_of(a, type >> 6);
	return rest ? arena_printf(a, "%s . %s", rest, one) : NULL;
}

static const char *const obj_names[] = {
	NULL,	  "counter",	"quota",   "ct helper",	     "limit",	NULL,
	"tunnel", "ct timeout", "secmark", "ct expectation", "synproxy"
};

static bool read_data_type(struct nl_reader *rd, struct set *s, struct nl_attr *tb)
{
	uint32_t len = 0;

	if (tb[6].p && !nl_u32(tb[6], &s->data_type))
		return nl_bad(rd, "data type of a map");
	if (tb[7].p && !nl_u32(tb[7], &len))
		return nl_bad(rd, "data length of a map");
	if (tb[15].p && !nl_u32(tb[15], &s->obj_type))
		return nl_bad(rd, "object type of a map");
	s->is_vmap = s->flags & SET_MAP && s->data_type == DATA_VERDICT_TYPE;
	if (s->flags & SET_MAP && !s->is_vmap) {
		if (!len || len > DATA_MAX)
			return nl_bad(rd, "data length of a map");
		s->data_len = (uint8_t)len;
		s->data_decl = decl_of(rd->arena, s->data_type);
	}
	if (s->is_vmap)
		s->data_decl = "verdict";
	if (s->flags & SET_OBJECT && s->obj_type < ARRAY_SIZE(obj_names))
		s->data_decl = s->flags & SET_ANONYMOUS ? "object" : obj_names[s->obj_type];
	return true;
}

static bool read_numbers(struct nl_reader *rd, struct set *s, struct nl_attr *tb)
{
	uint32_t len = 0;

	if (tb[3].p && !nl_u32(tb[3], &s->flags))
		return nl_bad(rd, "flags of a set");
	if (s->flags & ~SET_FLAGS_KNOWN)
		return nl_error(rd, "set %s has flags 0x%x that this version does not know",
				s->name, s->flags & ~SET_FLAGS_KNOWN);
	if ((tb[4].p && !nl_u32(tb[4], &s->key_type)) || !nl_u32(tb[5], &len) || !len ||
	    len > DATA_MAX)
		return nl_bad(rd, "key of a set");
	s->key_len = (uint8_t)len;
	s->n_fields = 1;
	s->field_len[0] = s->key_len;
	if (tb[8].p) {
		if (!nl_u32(tb[8], &s->policy))
			return nl_bad(rd, "policy of a set");
		s->has_policy = true;
	}
	if ((tb[11].p && !nl_u64(tb[11], &s->timeout)) ||
	    (tb[12].p && !nl_u32(tb[12], &s->gc_int)) || (tb[16].p && !nl_u64(tb[16], &s->handle)))
		return nl_bad(rd, "numbers of a set");
	return true;
}

/* Expressions of a set: one in NFTA_SET_EXPR, several in NFTA_SET_EXPRESSIONS. */
static bool read_set_exprs(struct nl_reader *rd, struct nl_attr one, struct nl_attr many,
			   struct expr ***v, uint32_t *n)
{
	if (many.p)
		return nl_exprs(rd, many, v, n);
	if (!one.p)
		return true;
	*v = arena_array(rd->arena, struct expr *, 1);
	*n = 1;
	(*v)[0] = nl_expr(rd, one);
	return (*v)[0] != NULL;
}

/* May a transaction name a set again as if to make it? */
static bool same_set(const struct set *a, const struct set *b)
{
	return a->key_type == b->key_type && a->key_len == b->key_len && a->flags == b->flags &&
	       a->data_type == b->data_type && a->data_len == b->data_len &&
	       a->obj_type == b->obj_type;
}

/* nft's note on the order of bytes of what has the type integer: 1 host, 2 network. */
static enum byte_order integer_order(struct nl_attr udata, unsigned int member, uint32_t type)
{
	struct nl_attr a = nl_udata(udata, member);
	uint32_t o;

	if (type != TYPE_INTEGER || !a.p || a.len != 4)
		return ORDER_NONE;
	memcpy(&o, a.p, 4);
	return o == 1 ? ORDER_HOST : o == 2 ? ORDER_BIG : ORDER_NONE;
}

bool nl_set(struct nl_reader *rd, struct nl_attr in)
{
	struct set *s = arena_new_of(rd->arena, struct set);
	struct nl_attr tb[21], merge;

	if (!nl_table_of(rd, in, tb, 21, "set"))
		return false;
	s->table = rd->cur->t;
	s->name = nl_name(rd, tb[2]);
	if (!s->name)
		return nl_bad(rd, "name of a set");
	rd->loc.name = arena_printf(rd->arena, "%s/set %s", s->table->name, s->name);
	s->loc = rd->loc;
	if (!read_numbers(rd, s, tb) || !read_desc(rd, s, tb[9]) || !read_data_type(rd, s, tb) ||
	    !read_set_exprs(rd, tb[17], tb[18], &s->exprs, &s->n_exprs))
		return false;
	if (s->flags & SET_EVAL) /* older nft says so of a meter's set, which has its name */
		s->flags &= ~(uint32_t)SET_ANONYMOUS;
	if (s->flags & SET_CONSTANT) { /* as many as it has */
		s->has_size = false;
		s->size = 0;
	}
	if (s->n_fields == 1 && s->key_type >= 64)
		fields_of_type(s);
	s->key_decl = decl_of(rd->arena, s->key_type);
	merge = nl_udata(tb[13], UDATA_MERGE); /* userdata holds host integers */
	s->auto_merge = merge.p && merge.len == 4 && memcmp(merge.p, "\0\0\0\0", 4);
	s->comment = nl_udata_str(rd, tb[13], UDATA_SET_COMMENT);
	s->key_order = integer_order(tb[13], UDATA_KEY_ORDER, s->key_type);
	s->data_order = integer_order(tb[13], UDATA_DATA_ORDER, s->data_type);
	nl_set_typeof(rd, s, tb[13]);
	s->index = s->table->sets.n;
	if (!(s->flags & SET_ANONYMOUS) || !strstr(s->name, "%d")) {
		void **slot = strmap_put(&rd->cur->sets, s->name, strlen(s->name));

		if (*slot && (!rd->batch || rd->excl || !same_set(*slot, s)))
			return nl_error(rd, "set %s is there twice", s->name);
		if (*slot)
			s = *slot;
		else
			*vec_push(rd->arena, &s->table->sets) = s;
		*slot = s;
	} else {
		*vec_push(rd->arena, &s->table->sets) = s;
	}
	if (tb[10].p && tb[10].len == 4)
		*strmap_put(&rd->cur->set_ids, (const char *)tb[10].p, 4) = s;
	return true;
}

/* -- elements ---------------------------------------------------------------------------------- */

/*
 * Until nl_set_finish, an interval's end mark is kept as an element whose key_end has this length.
 */
#define END_MARK 0xffu

static bool read_key(struct nl_reader *rd, const struct set *s, struct nl_attr a, struct data *d)
{
	if (!nl_data(rd, a, d) || d->len != s->key_len)
		return nl_error(rd, "element's key has not the %u bytes of its set's", s->key_len);
	return true;
}

static bool read_elem_data(struct nl_reader *rd, struct set *s, struct set_elem *el,
			   struct nl_attr *tb)
{
	bool is_verdict;
	const char *name;

	if (s->flags & SET_OBJECT) {
		name = nl_str(rd, tb[9]);
		el->obj = name ? table_obj(s->table, name, s->obj_type) : NULL;
		return el->obj || nl_error(rd, "element of %s refers to no object", s->name);
	}
	if (!(s->flags & SET_MAP))
		return (!tb[2].p && !tb[9].p) || nl_bad(rd, "data in a set that is no map");
	if (!tb[2].p || !nl_data_verdict(rd, tb[2], &el->data, &el->verdict, &is_verdict))
		return tb[2].p ? false : nl_bad(rd, "element of a map without data");
	if (is_verdict != s->is_vmap)
		return nl_bad(rd, "element's data is not of its map's kind");
	/* maps to intervals (nat prefix) have twice the length of one value, or the length */
	if (!is_verdict && el->data.len != s->data_len)
		return nl_bad(rd, "element's data has not its map's length");
	return true;
}

static bool read_elem(struct nl_reader *rd, struct set *s, struct nl_attr in)
{
	struct set_elem *el = arena_new_of(rd->arena, struct set_elem);
	struct nl_attr tb[12];
	uint32_t flags = 0;

	if (!nl_table_of(rd, in, tb, 12, "set element"))
		return false;
	if (tb[3].p && !nl_u32(tb[3], &flags))
		return nl_bad(rd, "flags of an element");
	if (flags & ~(ELEM_INTERVAL_END | ELEM_CATCHALL))
		return nl_error(rd, "element has flags 0x%x that this version does not know",
				flags);
	el->loc = rd->loc;
	el->added = s->elems.n;
	el->catchall = flags & ELEM_CATCHALL;
	if (!el->catchall && !read_key(rd, s, tb[1], &el->key))
		return false;
	if (tb[10].p && !read_key(rd, s, tb[10], &el->key_end))
		return false;
	if (flags & ELEM_INTERVAL_END) {
		el->key_end.len = END_MARK;
		*vec_push(rd->arena, &s->elems) = el;
		return true;
	}
	if (!read_elem_data(rd, s, el, tb))
		return false;
	if (tb[4].p) {
		if (!nl_u64(tb[4], &el->timeout))
			return nl_bad(rd, "timeout of an element");
		el->has_timeout = true;
	}
	if (tb[5].p && !nl_u64(tb[5], &el->expires))
		return nl_bad(rd, "expiration of an element");
	el->comment = nl_udata_str(rd, tb[6], UDATA_ELEM_COMMENT);
	if (!read_set_exprs(rd, tb[7], tb[11], &el->exprs, &el->n_exprs))
		return false;
	if (!el->n_exprs) { /* the kernel gives it the set's */
		el->exprs = s->exprs;
		el->n_exprs = s->n_exprs;
	}
	*vec_push(rd->arena, &s->elems) = el;
	return true;
}

/* The set that a message about elements speaks of; tb[3] is their list. NULL: said why. */
static struct set *set_of_elems(struct nl_reader *rd, struct nl_attr in, struct nl_attr tb[5])
{
	struct set *s;

	if (!nl_table_of(rd, in, tb, 5, "set elements"))
		return NULL;
	s = nl_find_set(rd, tb[2], tb[4]);
	if (s)
		rd->loc.name = arena_printf(rd->arena, "%s/set %s", s->table->name, s->name);
	return s;
}

bool nl_set_elems(struct nl_reader *rd, struct nl_attr in)
{
	struct nl_attr tb[5], a;
	unsigned int type;
	struct set *s;
	bool bad = false;

	s = set_of_elems(rd, in, tb);
	if (!s)
		return false;
	while (nl_next(&tb[3], &type, &a, &bad)) /* nft numbers them; the kernel does not care */
		if (!read_elem(rd, s, a))
			return false;
	return bad ? nl_bad(rd, "list of elements") : true;
}

/* -- elements deleted -------------------------------------------------------------------------- */

/* What tells an element from the others of its set, as bytes. */
static const char *elem_id(struct nl_reader *rd, const struct set_elem *el, size_t *len)
{
	uint8_t id[2 + 2 * DATA_MAX] = { el->catchall, el->key_end.len == END_MARK };

	memcpy(id + 2, el->key.b, DATA_MAX);
	if (el->key_end.len != END_MARK)
		memcpy(id + 2 + DATA_MAX, el->key_end.b, DATA_MAX);
	*len = sizeof(id);
	return arena_dup(rd->arena, id, sizeof(id));
}

/* A key in a delete message, its flags and nothing else that counts. */
static struct set_elem *read_doomed(struct nl_reader *rd, const struct set *s, struct nl_attr in)
{
	struct set_elem *el = arena_new_of(rd->arena, struct set_elem);
	struct nl_attr tb[12];
	uint32_t flags = 0;

	if (!nl_table_of(rd, in, tb, 12, "set element"))
		return NULL;
	if (tb[3].p && (!nl_u32(tb[3], &flags) || flags & ~(ELEM_INTERVAL_END | ELEM_CATCHALL))) {
		nl_bad(rd, "flags of an element");
		return NULL;
	}
	el->catchall = flags & ELEM_CATCHALL;
	if ((!el->catchall && !read_key(rd, s, tb[1], &el->key)) ||
	    (tb[10].p && !read_key(rd, s, tb[10], &el->key_end)))
		return NULL;
	if (flags & ELEM_INTERVAL_END)
		el->key_end.len = END_MARK;
	return el;
}

/* Takes out the elements whose ids are in doomed; each must be there, or may be missing. */
static bool take_out(struct nl_reader *rd, struct set *s, struct strmap *doomed, uint32_t n_doomed,
		     bool missing)
{
	uint32_t n = 0, found = 0;
	size_t len;

	for (uint32_t i = 0; i < s->elems.n; i++) {
		const char *id = elem_id(rd, s->elems.v[i], &len);

		if (strmap_get(doomed, id, len))
			found++;
		else
			s->elems.v[n++] = s->elems.v[i];
	}
	s->elems.n = n;
	return found >= n_doomed || missing ||
	       nl_error(rd, "an element to delete from set %s does not exist", s->name);
}

bool nl_set_elems_delete(struct nl_reader *rd, struct nl_attr in, bool missing)
{
	struct nl_attr tb[5], a;
	struct strmap doomed;
	uint32_t n_doomed = 0;
	unsigned int type;
	struct set *s;
	bool bad = false;
	size_t len;

	s = set_of_elems(rd, in, tb);
	if (!s)
		return false;
	if (!tb[3].p) {
		s->elems.n = 0;
		return true;
	}
	strmap_init(&doomed, rd->arena);
	while (nl_next(&tb[3], &type, &a, &bad)) {
		struct set_elem *el = read_doomed(rd, s, a);
		const char *id = el ? elem_id(rd, el, &len) : NULL;
		void **slot;

		if (!el)
			return false;
		slot = strmap_put(&doomed, id, len);
		n_doomed += !*slot;
		*slot = el;
	}
	if (bad)
		return nl_bad(rd, "list of elements");
	return take_out(rd, s, &doomed, n_doomed, missing);
}

/* -- canonical form ---------------------------------------------------------------------------- */

/* By key; at the same key the end of one interval before the start of the next; catch-all last. */
static int elem_order(const void *a, const void *b)
{
	const struct set_elem *x = *(struct set_elem *const *)a, *y = *(struct set_elem *const *)b;
	int c;

	if (x->catchall || y->catchall)
		return (int)x->catchall - (int)y->catchall;
	c = memcmp(x->key.b, y->key.b, MIN(x->key.len, y->key.len));
	if (c)
		return c;
	if ((x->key_end.len == END_MARK) != (y->key_end.len == END_MARK))
		return x->key_end.len == END_MARK ? -1 : 1;
	return memcmp(x->key_end.b, y->key_end.b, DATA_MAX);
}

/* The value before d, big end first; of 0 it is the last one. */
static struct data before(const struct data *d)
{
	struct data r = *d;

	for (unsigned int i = r.len; i-- > 0;)
		if (r.b[i]--)
			break;
	return r;
}

static bool join_intervals(struct nl_reader *rd, struct set *s)
{
	struct set_elem *open = NULL;
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->elems.n; i++) {
		struct set_elem *el = s->elems.v[i];
		bool end = el->key_end.len == END_MARK;

		if (el->catchall) {
			s->elems.v[n++] = el;
			continue;
		}
		if (!end && el->key_end.len) { /* already a range */
			open = NULL;
			s->elems.v[n++] = el;
			continue;
		}
		if (open) {
			if (!memcmp(open->key.b, el->key.b, el->key.len))
				return nl_error(rd, "set %s has two elements with one key",
						s->name);
			open->key_end = before(&el->key);
		}
		open = end ? NULL : el;
		if (!end)
			s->elems.v[n++] = el;
	}
	if (open) { /* up to the last value */
		open->key_end.len = open->key.len;
		memset(open->key_end.b, 0xff, open->key.len);
	}
	s->elems.n = n;
	return true;
}

static bool same_elem(const struct set_elem *a, const struct set_elem *b)
{
	return a->catchall == b->catchall && a->key_end.len == b->key_end.len &&
	       !memcmp(a->key.b, b->key.b, DATA_MAX) &&
	       (a->key_end.len == END_MARK || !memcmp(a->key_end.b, b->key_end.b, DATA_MAX));
}

/* Of sorted elements: a transaction may add one that is there, with the same value. */
static bool drop_twins(struct nl_reader *rd, struct set *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->elems.n; i++) {
		struct set_elem *el = s->elems.v[i], *last = n ? s->elems.v[n - 1] : NULL;

		if (!last || !same_elem(last, el)) {
			s->elems.v[n++] = el;
			continue;
		}
		if (!data_eq(&last->data, &el->data) || last->obj != el->obj ||
		    last->verdict.code != el->verdict.code ||
		    last->verdict.chain != el->verdict.chain)
			return nl_error(rd, "set %s has an element twice, with two values",
					s->name);
	}
	s->elems.n = n;
	return true;
}

static bool finish(struct nl_reader *rd, struct set *s)
{
	if (s->elems.n && s->flags & SET_INTERVAL &&
	    s->n_fields == 1) /* with several the first that fits counts */
		qsort(s->elems.v, s->elems.n, sizeof(struct set_elem *), elem_order);
	if (!(s->flags & SET_INTERVAL)) {
		set_sort_elems(rd->arena, s);
		if (!drop_twins(rd, s))
			return false;
		vec_foreach(&s->elems, el)
			if ((*el)->key_end.len)
				return nl_error(rd,
						"set %s holds a range but not the interval flag",
						s->name);
		return true;
	}
	if (s->n_fields == 1 && !(s->flags & SET_CONCAT))
		return drop_twins(rd, s) && join_intervals(rd, s);
	vec_foreach(&s->elems, el) {
		if ((*el)->key_end.len == END_MARK)
			return nl_error(rd, "set %s mixes two forms of intervals", s->name);
		if (!(*el)->catchall && !(*el)->key_end.len)
			(*el)->key_end = (*el)->key;
	}
	return true;
}

bool nl_set_finish(struct nl_reader *rd, struct set *s)
{
	rd->loc = s->loc;
	if (!finish(rd, s))
		return false;
	vec_foreach(&s->elems, el)
		if (!set_elem_in_order(s, *el))
			return nl_error(rd, "set %s holds a range that ends before it begins",
					s->name);
	return true;
}
